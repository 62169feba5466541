import { chmod, copyFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import { digestHex } from '../model/digest.ts';
import type { Progress } from '../model/progress.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import { findEmulators, parseEmulatorProvider } from '../qemu/providers.ts';
import type { Store } from '../store/store.ts';
import { recallEmulator, rememberEmulator } from './remembered-emulator.ts';
import { runFolder } from './run-folder.ts';

/** What is asked for an emulator. */
export interface EmulatorSearch {
  /** Default: `debian`, asked again after a week only. */
  readonly providers?: readonly EmulatorProvider[];
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly warn?: (message: string) => void;
}

/** @throws UportError UPORT_EMULATOR_NOT_FOUND */
export async function findEmulator(
  guest: Arch,
  host: Arch,
  context: EmulatorSearch,
): Promise<PinnedEmulator> {
  const { providers, store } = context;
  if (providers === undefined) {
    const remembered = await recallEmulator(store, guest, host);
    if (remembered !== undefined) return remembered;
  }
  const asked = providers ?? [parseEmulatorProvider('debian')];
  const found = await findEmulators(guest, [host], asked, context);
  const emulator = found.get(host.name);
  if (emulator !== undefined) {
    if (providers === undefined) await rememberEmulator(store, emulator);
    return emulator;
  }
  throw new UportError({
    code: 'UPORT_EMULATOR_NOT_FOUND',
    category: 'input',
    message: `no provider has a qemu-${guest.name} for ${host.name}`,
    hint: 'name another provider, such as --emulators dir:/usr/bin',
  });
}

/** The emulator as an executable file with a name that tells what it is. */
export async function emulatorProgram(emulator: PinnedEmulator, store: Store): Promise<string> {
  const name = `qemu-${emulator.guest}`;
  const folder = `${name}-on-${emulator.host}-${digestHex(emulator.digest)}`;
  const made = await runFolder(store, folder, async (temporary) => {
    await copyFile(store.pathOf(emulator.digest), path.join(temporary, name));
    await chmod(path.join(temporary, name), 0o755);
  });
  return path.join(made, name);
}
