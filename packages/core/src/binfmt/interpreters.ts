// The programs that binfmt_misc starts: emulators, and the launcher for FatELF files.
import { createHash } from 'node:crypto';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { encodeManifest, type Launcher, launcherFor } from '@uport/launcher';
import type { Arch } from '../model/arch.ts';
import { type EmulatorSearch, emulatorProgram, findEmulator } from '../run/emulator-program.ts';
import { runFolder } from '../run/run-folder.ts';
import { foreignSubjects } from './guests.ts';
import type { BinfmtSubject } from './registration.ts';

/** A guest's emulator for this host, as a program in the store. */
export interface GuestInterpreter {
  readonly guest: Arch;
  readonly version: string;
  readonly file: string;
}

/**
 * The emulators of these guests. Where none are named, all that the providers have.
 *
 * @throws UportError UPORT_EMULATOR_NOT_FOUND when a named guest has none
 */
export async function findInterpreters(
  subjects: readonly BinfmtSubject[] | undefined,
  host: Arch,
  context: EmulatorSearch,
): Promise<readonly GuestInterpreter[]> {
  const found: GuestInterpreter[] = [];
  for (const guest of subjects ?? foreignSubjects(host)) {
    if (guest === 'fatelf') continue;
    context.signal.throwIfAborted();
    const emulator = await findEmulator(guest, host, context).catch((error: unknown) => {
      const missing = error instanceof UportError && error.code === 'UPORT_EMULATOR_NOT_FOUND';
      if (subjects !== undefined || !missing) throw error;
      return undefined;
    });
    if (emulator === undefined) continue;
    const file = await emulatorProgram(emulator, context.store);
    found.push({ guest, version: emulator.version, file });
  }
  return found;
}

/** @throws UportError UPORT_NO_LAUNCHER */
export function hostLauncher(host: Arch): Launcher {
  const launcher = launcherFor(host.name);
  if (launcher !== undefined) return launcher;
  throw new UportError({
    code: 'UPORT_NO_LAUNCHER',
    category: 'environment',
    message: `there is no launcher for this machine's CPU, ${host.name}`,
    hint: 'leave fatelf out, and name the guests to be registered',
  });
}

/** What the launcher reads beside itself: the emulators, relative to it or by absolute paths. */
export function interpreterManifest(
  emulators: readonly { readonly guest: Arch; readonly file: string }[],
): Buffer {
  const text = encodeManifest({
    emulators: emulators.map(({ guest, file }) => ({
      name: guest.name,
      elf: guest.elf,
      path: Buffer.from(file, 'utf8').toString('latin1'),
      args: [],
    })),
  });
  return Buffer.from(text, 'latin1');
}

/** The launcher in a folder of the store, with the emulators beside it in its manifest. */
export async function storedLauncher(
  host: Arch,
  emulators: readonly GuestInterpreter[],
  context: EmulatorSearch,
): Promise<string> {
  const launcher = hostLauncher(host);
  const manifest = interpreterManifest(emulators);
  const name = createHash('sha256').update(`${launcher.sha256}\n`).update(manifest).digest('hex');
  const folder = await runFolder(context.store, `launch-${name}`, async (temporary) => {
    await copyFile(launcher.path, path.join(temporary, 'launch'));
    await chmod(path.join(temporary, 'launch'), 0o755);
    await writeFile(path.join(temporary, 'manifest'), manifest);
  });
  return path.join(folder, 'launch');
}
