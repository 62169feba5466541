#!/usr/bin/env node
import './node-version.js';
import { readFileSync } from 'node:fs';

// Asked by scripts all the time, and answered before anything else is loaded.
if (process.argv.length === 3 && ['--version', '-v'].includes(process.argv[2])) {
  const file = new URL('../package.json', import.meta.url);
  process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`);
} else {
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  const { main } = await import('../dist/main.js');
  await main(import.meta.url);
}
