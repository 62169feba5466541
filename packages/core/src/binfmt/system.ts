// Registrations of the whole system; writing them needs root.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, copyFile, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { UportError } from '@uport/errors';
import { makeFolder } from '../make-folder.ts';
import { ARCHES, type Arch } from '../model/arch.ts';
import type { EmulatorSearch } from '../run/emulator-program.ts';
import { hostArch } from '../run/host-arch.ts';
import { systemError } from '../system-error.ts';
import { binfmtLine } from './formats.ts';
import { checkForeign } from './guests.ts';
import { findInterpreters, hostLauncher, interpreterManifest } from './interpreters.ts';
import {
  BINFMT_SUBJECTS,
  type BinfmtRegistration,
  type BinfmtSubject,
  binfmtInterpreterName,
  binfmtName,
  binfmtRegistration,
  DEFAULT_BINFMT_PREFIX,
} from './registration.ts';
import { BINFMT_FOLDER, readBinfmtStatus } from './status.ts';

const run = promisify(execFile);

export interface RegisterOptions extends EmulatorSearch {
  /** Default: every CPU that the kernel does not run by itself, and FatELF. */
  readonly subjects?: readonly BinfmtSubject[];
  /** Where the interpreters go. Default: `DEFAULT_BINFMT_PREFIX`. */
  readonly prefix?: string;
}

/**
 * Registers subjects with the running kernel, until it stops. Emulators and the launcher are copied
 * into the prefix. A registration of the same name is replaced.
 *
 * @throws UportError UPORT_BINFMT_NOT_ROOT, UPORT_BINFMT_NO_MOUNT, UPORT_BINFMT_REFUSED
 */
export async function registerBinfmt(
  options: RegisterOptions,
): Promise<readonly BinfmtRegistration[]> {
  const host = hostArch();
  const { subjects, signal } = options;
  const prefix = path.resolve(options.prefix ?? DEFAULT_BINFMT_PREFIX);
  checkForeign(subjects ?? [], host);
  await mountBinfmt();
  const interpreters = await findInterpreters(subjects, host, options);
  const flags = keepsArgv0(os.release()) ? 'FP' : 'F';
  const registrations: BinfmtRegistration[] = [];
  await makeFolder(prefix);
  for (const { guest, file } of interpreters) {
    const place = path.join(prefix, binfmtInterpreterName(guest));
    await replaceFile(place, 0o755, (temporary) => copyFile(file, temporary));
    registrations.push(binfmtRegistration(guest, place, flags));
  }
  if (subjects === undefined || subjects.includes('fatelf')) {
    const place = path.join(prefix, binfmtInterpreterName('fatelf'));
    const launcher = hostLauncher(host);
    await replaceFile(place, 0o755, (temporary) => copyFile(launcher.path, temporary));
    registrations.push(binfmtRegistration('fatelf', place, flags));
  }
  await writeManifest(prefix);
  for (const registration of registrations) {
    signal.throwIfAborted();
    await writeEntry(registration.name, '-1', true);
    await writeEntry('register', binfmtLine(registration));
  }
  return registrations;
}

/**
 * Undoes `registerBinfmt`: the registrations of these names, or of all that are uport's, and their
 * interpreters in the prefix.
 *
 * @returns the names that were registered
 */
export async function unregisterBinfmt(
  subjects: readonly BinfmtSubject[] | undefined,
  prefix: string = DEFAULT_BINFMT_PREFIX,
): Promise<readonly string[]> {
  const { entries } = await readBinfmtStatus();
  const removed: string[] = [];
  for (const subject of subjects ?? BINFMT_SUBJECTS) {
    const name = binfmtName(subject);
    const entry = entries.find((one) => one.name === name);
    if (entry === undefined) continue;
    await writeEntry(name, '-1');
    removed.push(name);
    const place = path.join(path.resolve(prefix), binfmtInterpreterName(subject));
    if (entry.interpreter === place) await writing(place, () => rm(place, { force: true }));
  }
  await cleanPrefix(path.resolve(prefix));
  return removed;
}

/** Since 5.12 the kernel tells interpreters that flag P is on; before, they would take the path for an argument. */
function keepsArgv0(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 12);
}

async function mountBinfmt(): Promise<void> {
  if ((await readBinfmtStatus()).mounted) return;
  try {
    await run('mount', ['-t', 'binfmt_misc', 'binfmt_misc', BINFMT_FOLDER], {
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
  } catch (cause) {
    const told = (cause as { stderr?: string }).stderr?.trim() ?? '';
    throw new UportError({
      code: 'UPORT_BINFMT_NO_MOUNT',
      category: 'environment',
      message: `binfmt_misc is not mounted and cannot be${told ? `: ${told}` : ''}`,
      hint: 'it needs root, and the kernel module binfmt_misc (modprobe binfmt_misc); without root: uport binfmt exec',
      cause,
    });
  }
}

async function writeEntry(name: string, text: string, mayBeAbsent = false): Promise<void> {
  const file = path.join(BINFMT_FOLDER, name);
  try {
    await writeFile(file, text, { flag: 'r+', encoding: 'utf8' });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' && mayBeAbsent) return;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new UportError({
      code: denied ? 'UPORT_BINFMT_NOT_ROOT' : 'UPORT_BINFMT_REFUSED',
      category: 'environment',
      message: denied
        ? 'only root may change the registrations of the system'
        : `the kernel refused ${text === '-1' ? `to unregister ${name}` : text} (${code})`,
      hint: denied
        ? 'run it as root; without root: uport binfmt exec'
        : 'the interpreter must be a program that root can execute',
      file,
      cause,
    });
  }
}

/** The launcher starts foreign parts of FatELF files by the emulators that lie beside it. */
async function writeManifest(prefix: string): Promise<void> {
  const present = new Set(await readdir(prefix));
  if (!present.has(binfmtInterpreterName('fatelf'))) return;
  const emulators: { guest: Arch; file: string }[] = [];
  for (const guest of ARCHES) {
    const file = binfmtInterpreterName(guest);
    if (present.has(file)) emulators.push({ guest, file });
  }
  const manifest = interpreterManifest(emulators);
  await replaceFile(path.join(prefix, 'manifest'), 0o644, (temporary) =>
    writeFile(temporary, manifest),
  );
}

/** What is left when nothing is registered any more goes; what others put there stays. */
async function cleanPrefix(prefix: string): Promise<void> {
  const present = new Set(await readdir(prefix).catch(() => []));
  if (present.size === 0) return;
  if (present.has(binfmtInterpreterName('fatelf'))) return writeManifest(prefix);
  await writing(prefix, () => rm(path.join(prefix, 'manifest'), { force: true }));
  await rmdir(prefix).catch(() => undefined);
}

async function replaceFile(
  place: string,
  mode: number,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = path.join(path.dirname(place), `.${path.basename(place)}.${randomUUID()}.tmp`);
  try {
    await writing(place, async () => {
      await write(temporary);
      await chmod(temporary, mode);
      // A running interpreter keeps its own file.
      await rename(temporary, place);
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writing<T>(place: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw systemError(error, place);
  }
}
