// Pushes in a process of its own, for what is decided at a process's start: argv is LAYOUT
// REFERENCE [insecure].
import { UportError } from '@uport/errors';
import { silentProgress } from '../../model/progress.ts';
import { pushLayout } from '../push.ts';

const [layout = '', reference = '', scheme] = process.argv.slice(2);
const insecure = scheme === 'insecure';
try {
  const signal = new AbortController().signal;
  const progress = silentProgress;
  const result = await pushLayout({ layout, reference, insecure, progress, signal });
  process.stdout.write(JSON.stringify({ ...result, maxRss: process.resourceUsage().maxRSS }));
} catch (error) {
  if (!(error instanceof UportError)) throw error;
  process.stdout.write(JSON.stringify(error));
}
