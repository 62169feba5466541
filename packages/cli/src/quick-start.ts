// The start of what scripts ask for every file they meet. Loading oclif costs more than the work, so a
// plain command line goes without it; every other, and all help and usage errors, are oclif's.
import { writeSync } from 'node:fs';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { EXIT_STATUS } from '@uport/core/model';
import { errorText, explainError } from './explain-error.ts';
import { type DepsFlags, showDeps } from './show-deps.ts';

/** Flags of `uport deps` that need nothing else; the command itself knows more. */
export const QUICK_DEPS_FLAGS = {
  json: { type: 'boolean' },
  list: { type: 'boolean' },
  lib: { type: 'string', multiple: true },
  sysroot: { type: 'string' },
  app: { type: 'string' },
  preload: { type: 'string', multiple: true },
  opens: { type: 'string', multiple: true },
} as const satisfies ParseArgsOptionsConfig;

/** What makes oclif behave in another way. */
const OCLIF_VARIABLES = ['DEBUG', 'UPORT_CONTENT_TYPE'];

/**
 * Runs the command if its line is plain.
 *
 * @returns whether it did; nothing has been done otherwise
 */
export async function quickStart(argv: readonly string[]): Promise<boolean> {
  if (argv[0] !== 'deps' || OCLIF_VARIABLES.some((name) => process.env[name])) return false;
  const line = plainLine(argv.slice(1));
  if (line === undefined) return false;
  const { file, json, flags } = line;
  const lines: string[] = [];
  const told: string[] = [];
  try {
    const result = await showDeps(file, flags, {
      json,
      log: (each) => json || lines.push(each),
      tell: (each) => told.push(`uport: ${each}\n`),
    });
    if (json) lines.push(JSON.stringify(result, undefined, 2));
  } catch (thrown) {
    const error = explainError(thrown as Error, new AbortController().signal, 'deps');
    process.exitCode = EXIT_STATUS[error.category];
    if (json) lines.push(JSON.stringify({ error: error.toJSON() }, undefined, 2));
    else told.push(errorText(error, thrown));
  }
  write(1, lines.map((each) => `${each}\n`).join(''));
  write(2, told.join(''));
  return true;
}

type Option = ParseArgsOptionsConfig[string];

/** Undefined where oclif has to look at it. */
function plainLine(
  args: readonly string[],
): { file: string; json: boolean; flags: DepsFlags } | undefined {
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...args],
      options: QUICK_DEPS_FLAGS,
      allowPositionals: true,
      tokens: true,
    });
    const [file, ...more] = positionals;
    if (!file || more.length > 0) return undefined;
    const seen = new Set<string>();
    for (const token of tokens) {
      if (token.kind !== 'option') continue;
      const { type, multiple }: Option = QUICK_DEPS_FLAGS[token.name];
      if (type === 'string' && !token.value) return undefined;
      if (!multiple && seen.has(token.name)) return undefined;
      seen.add(token.name);
    }
    const { json = false, ...flags } = values;
    return { file, json, flags };
  } catch {
    return undefined;
  }
}

/** All of it before the process ends; whoever reads may have gone. */
function write(descriptor: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      // Somebody made the pipe non-blocking, and it is full.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
