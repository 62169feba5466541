import { UportError } from '@uport/errors';
import { displayBytes, parseBytePath, textPath } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import { programWords } from '../plan/guest-settings.ts';
import type { Plan } from '../plan/plan.ts';
import type { PayloadOptions, ProgramName } from './write-payload.ts';

/** In bytes, of any file system that Linux has. */
const MAX_NAME = 255;

/**
 * What an emitter's options ask of the payload.
 *
 * @throws UportError UPORT_NAME_INVALID, UPORT_BIN_NOT_FOUND, UPORT_ENTRYPOINT_NOT_IN_PAYLOAD
 */
export function payloadOptions(
  plan: Plan,
  { bins, level }: { readonly bins: Readonly<Record<string, string>>; readonly level?: number },
): PayloadOptions {
  checkFileName(plan.app.name, '--name NAME');
  for (const name of Object.keys(bins)) checkFileName(name, '--bin NAME=PATH');
  return { programs: programsOf(plan, bins), ...(level !== undefined && { level }) };
}

/** Files and links are called so. */
function checkFileName(name: string, flag: string): void {
  const size = Buffer.byteLength(name);
  if (size > 0 && size <= MAX_NAME && !/[/\0]|^\.\.?$/.test(name)) return;
  throw new UportError({
    code: 'UPORT_NAME_INVALID',
    category: 'usage',
    message: `${JSON.stringify(name.slice(0, MAX_NAME))} cannot be the name of a file`,
    hint: `give another with ${flag}: at most ${MAX_NAME} bytes, without /`,
  });
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
  const entries = new Map(plan.payload.entries.map((entry) => [entry.path, entry]));
  const words = programWords(plan);
  const own = (path: BytePath) => (path === plan.app.program ? words : {});
  if (named.length === 0) {
    // The launcher follows no links on its way to a program: in a root, /bin may be one.
    const { program } = plan.app;
    const slash = program.lastIndexOf('/');
    const inside = resolveEntry(entries, program.slice(0, Math.max(slash, 0)) as BytePath);
    const path =
      inside?.type === 'directory'
        ? (`${inside.path}/${program.slice(slash + 1)}` as BytePath)
        : program;
    return [{ name: latin1(plan.app.name), path, ...words }];
  }
  const folder = plan.app.folder ?? textPath('app');
  return named.map(([name, file]) => {
    const inside = latin1(file).replace(/^\.\//, '');
    const whole = inside.startsWith(`/${folder}/`) ? inside.slice(1) : `${folder}/${inside}`;
    const path = parseBytePath(whole);
    const found = entries.get(path);
    if (found !== undefined && found.type !== 'directory') {
      return { name: latin1(name), path, ...own(path) };
    }
    throw new UportError({
      code: 'UPORT_BIN_NOT_FOUND',
      category: 'input',
      message: `the payload has no program ${JSON.stringify(displayBytes(path))} to be called ${name}`,
      hint: 'write --bin NAME=PATH with a path inside the folder',
    });
  });
}
