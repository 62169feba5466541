import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Elf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type Arch, archOfElf } from '../model/arch.ts';
import { bytePath, displayBytes, parseBytePath, textPath } from '../model/byte-path.ts';
import type { ContentPlace, ContentSource } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import type { Progress } from '../model/progress.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import { systemError } from '../system-error.ts';
import type { App } from './app.ts';
import { readProgram } from './read-program.ts';
import { type Scan, scanFile, scanFolder } from './scan-folder.ts';

export interface LoadContext {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface LoadOptions {
  /** The program to start, relative to the folder. Needed for a folder, not used for a file. */
  readonly program?: string;
  /** The app's name; default: the input's file name. */
  readonly name?: string;
}

/** Where an app lies in its payload. */
export const APP_FOLDER = textPath('app');

/**
 * Reads an ELF file, or a folder and the program in it, as an app.
 *
 * @throws UportError UPORT_NOT_FOUND, UPORT_ELF_*, UPORT_GUEST_*, UPORT_ENTRYPOINT_*
 */
export async function loadApp(
  input: string,
  options: LoadOptions,
  context: LoadContext,
): Promise<App> {
  const status = await stat(input).catch((error: unknown) => {
    throw systemError(error, input);
  });
  const name = options.name ?? path.basename(path.resolve(input));
  if (status.isDirectory()) return loadFolder(input, name, options.program, context);
  if (status.isFile()) return loadFile(input, name, context);
  throw new UportError({
    code: 'UPORT_INPUT_TYPE',
    category: 'input',
    message: 'it is neither a file nor a folder',
    hint: 'give an ELF program or a folder that holds one',
    file: input,
  });
}

async function loadFile(input: string, name: string, context: LoadContext): Promise<App> {
  // The header first: a file that is no program is refused before it is read to its end.
  const elf = await readProgram(input, input);
  const target = bytePath(Buffer.from(`app/${path.basename(path.resolve(input))}`));
  const size = (await stat(input)).size;
  const task = context.progress.start(`Reading ${name}`, size, 'bytes');
  // One file has no modes worth keeping: it must be executable, and a umask must not change a digest.
  const scan = await scanFile(input, target, 0o755, { task, signal: context.signal });
  task.done();
  const folder: PayloadEntry = { type: 'directory', path: APP_FOLDER, mode: 0o755 };
  return {
    ...assemble(name, target, elf, { ...scan, entries: [folder, ...scan.entries] }, input),
    program: target,
    wholeFolder: false,
  };
}

async function loadFolder(
  input: string,
  name: string,
  program: string | undefined,
  context: LoadContext,
): Promise<App> {
  if (program === undefined) {
    throw new UportError({
      code: 'UPORT_ENTRYPOINT_MISSING',
      category: 'usage',
      message: 'a folder needs the program that starts',
      hint: 'add --entrypoint PROGRAM, a path inside the folder',
      file: input,
    });
  }
  const task = context.progress.start(`Reading ${name}`, undefined, 'bytes');
  const scan = await scanFolder(input, APP_FOLDER, { task, signal: context.signal }).catch(
    (error: unknown) => {
      throw systemError(error, input);
    },
  );
  task.done();
  const app = await appOfScan(name, programPath(program), scan, input);
  if (app !== undefined) return app;
  throw new UportError({
    code: 'UPORT_ENTRYPOINT_NOT_FOUND',
    category: 'input',
    message: `the folder has no program ${JSON.stringify(program)}`,
    hint: `name a file in it: ${suggest(scan)}`,
    file: input,
  });
}

/**
 * The app of a payload that was read, started by one of its files; undefined when there is no such
 * file.
 *
 * @param input names the whole in messages
 * @throws UportError UPORT_ELF_*, UPORT_GUEST_*
 */
export async function appOfScan(
  name: string,
  program: BytePath,
  scan: Scan,
  input: string,
): Promise<App | undefined> {
  const entries = new Map(scan.entries.map((entry) => [entry.path, entry]));
  const entry = resolveEntry(entries, program);
  if (entry?.type !== 'file') return undefined;
  const target = targetOf(interpreterOf(entry.path, scan, entries), scan, input);
  const file = scan.files.get(digestOf(entries, target)) as ContentPlace;
  const elf = await readProgram(file, displayBytes(target));
  return { ...assemble(name, target, elf, scan, input), program, wholeFolder: true };
}

function programPath(program: string): BytePath {
  const inside = program.replace(/^\/app\//, '').replace(/^(\.\/)+/, '');
  return parseBytePath(
    `${APP_FOLDER}/${Buffer.from(path.posix.normalize(inside)).toString('latin1')}`,
  );
}

function suggest(scan: Scan): string {
  const programs = [...scan.programs.keys()].slice(0, 5);
  if (programs.length === 0) return 'it holds no program at all';
  return programs.map((p) => displayBytes(p.slice(APP_FOLDER.length + 1))).join(', ');
}

function digestOf(entries: ReadonlyMap<string, PayloadEntry>, file: BytePath): Digest {
  const entry = entries.get(file);
  if (entry?.type !== 'file') throw new TypeError(`${file} is not a file of the payload`);
  return entry.digest;
}

const isElf = (head: Buffer) => head[0] === 0x7f;

const ET_EXEC = 2;
const PT_INTERP = 3;

/** Whether the first bytes of an ELF file are a program's: not of ET_DYN, or with an interpreter among the first segments. */
function looksStartable(head: Buffer): boolean {
  const wide = head[4] === 2;
  const big = head[5] === 2;
  const u16 = (at: number) => (big ? head.readUInt16BE(at) : head.readUInt16LE(at));
  const u32 = (at: number) => (big ? head.readUInt32BE(at) : head.readUInt32LE(at));
  if (u16(16) === ET_EXEC) return true;
  const [start, size] = wide ? [64, 56] : [52, 32];
  for (let at = start; at + 4 <= head.length; at += size) if (u32(at) === PT_INTERP) return true;
  return false;
}

/** As deep as Linux goes when scripts interpret scripts. */
const MAX_INTERPRETERS = 5;

/** The program that a script's first line names, when the payload has it; else the script itself. */
function interpreterOf(
  program: BytePath,
  scan: Scan,
  entries: ReadonlyMap<string, PayloadEntry>,
): BytePath {
  let at = program;
  for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
    const head = scan.programs.get(at)?.toString('latin1');
    const name = head && /^#![ \t]*\/([^ \t\n\0]+)/.exec(head)?.[1];
    const entry = name ? resolveEntry(entries, name as BytePath) : undefined;
    if (entry?.type !== 'file' || !scan.programs.has(entry.path)) return at;
    at = entry.path;
  }
  return at;
}

/** The ELF file that tells the guest's CPU: the program itself, or for a script the one CPU of the folder. */
function targetOf(program: BytePath, scan: Scan, input: string): BytePath {
  const head = scan.programs.get(program);
  if (head === undefined) {
    throw new UportError({
      code: 'UPORT_ELF_NOT_ELF',
      category: 'input',
      message: `${displayBytes(program)} is neither an ELF program nor a script`,
      hint: 'name the program that starts with --entrypoint',
      file: input,
    });
  }
  if (isElf(head)) return program;
  const elfs = [...scan.programs]
    .filter(([, bytes]) => isElf(bytes) && bytes.length >= 20)
    // The last of each CPU counts: programs after libraries.
    .sort(([, a], [, b]) => Number(looksStartable(a)) - Number(looksStartable(b)));
  // e_ident's class and byte order, and e_machine.
  const cpus = new Map(
    elfs.map(([file, bytes]) => [
      `${bytes.subarray(4, 6).toString('hex')}${bytes.subarray(18, 20).toString('hex')}`,
      file,
    ]),
  );
  const [only] = cpus.values();
  if (cpus.size === 1 && only !== undefined) return only;
  throw new UportError({
    code: 'UPORT_GUEST_AMBIGUOUS',
    category: 'input',
    message: `${displayBytes(program)} is a script, and the folder holds programs of ${cpus.size} CPUs`,
    hint: 'name an ELF program with --entrypoint',
    file: input,
  });
}

function assemble(
  name: string,
  target: BytePath,
  elf: Elf,
  scan: Scan,
  input: string,
): Omit<App, 'program' | 'wholeFolder'> {
  return {
    name,
    guest: guestOf(elf, target, input),
    linkage: linkageOf(elf, target, input),
    interpreter: elf.interpreter,
    target,
    payload: { entries: scan.entries },
    content: filesAsContent(scan.files),
    fatElfs: scan.fatElfs,
  };
}

function guestOf(elf: Elf, target: BytePath, input: string): Arch {
  const guest = archOfElf(elf.identity);
  if (guest !== undefined) return guest;
  const { machine, bits, order } = elf.identity;
  throw new UportError({
    code: 'UPORT_GUEST_UNKNOWN',
    category: 'input',
    message: `QEMU user mode has no such CPU: e_machine ${machine}, ${bits} bits, ${order} (${displayBytes(target)})`,
    hint: 'uport matrix lists the CPUs it can run',
    file: input,
    offset: 18,
  });
}

function linkageOf(elf: Elf, target: BytePath, input: string): App['linkage'] {
  if (elf.linkage === 'static' || elf.linkage === 'static-pie' || elf.linkage === 'dynamic') {
    return elf.linkage;
  }
  throw new UportError({
    code: 'UPORT_ELF_NOT_A_PROGRAM',
    category: 'input',
    message: `${displayBytes(target)} is a ${elf.linkage}, not a program`,
    hint: 'give the executable that users start',
    file: input,
  });
}

function filesAsContent(files: ReadonlyMap<Digest, ContentPlace>): ContentSource {
  return { locate: (digest) => files.get(digest) };
}
