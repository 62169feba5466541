import { UportError } from '@uport/errors';
import { displayBytes, parseBytePath } from '../model/byte-path.ts';
import type { Plan } from '../plan/plan.ts';
import type { PayloadOptions, ProgramName } from './write-payload.ts';

/** What an emitter's options ask of the payload. @throws UportError UPORT_BIN_NOT_FOUND */
export function payloadOptions(
  plan: Plan,
  { bins, level }: { readonly bins: Readonly<Record<string, string>>; readonly level?: number },
): PayloadOptions {
  return { programs: programsOf(plan, bins), ...(level !== undefined && { level }) };
}

/**
 * What a file can start.
 *
 * @param bins names and paths inside the app's folder; none means the app's own program
 * @throws UportError UPORT_BIN_NOT_FOUND
 */
function programsOf(plan: Plan, bins: Readonly<Record<string, string>>): readonly ProgramName[] {
  const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
  const named = Object.entries(bins);
  if (named.length === 0) return [{ name: latin1(plan.app.name), path: plan.app.program }];
  return named.map(([name, file]) => {
    const path = parseBytePath(`app/${latin1(file.replace(/^(\/app\/|\.\/)/, ''))}`);
    const found = plan.payload.entries.find((entry) => entry.path === path);
    if (found !== undefined && found.type !== 'directory') return { name: latin1(name), path };
    throw new UportError({
      code: 'UPORT_BIN_NOT_FOUND',
      category: 'input',
      message: `the payload has no program ${JSON.stringify(displayBytes(path))} to be called ${name}`,
      hint: 'write --bin NAME=PATH with a path inside the folder',
    });
  });
}
