import { createHash } from 'node:crypto';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { encodeManifest, launcherFor } from '@uport/launcher';
import type { Arch } from '../model/arch.ts';
import type { Progress } from '../model/progress.ts';
import { defaultGuestCpu } from '../plan/default-guest-cpu.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import type { Store } from '../store/store.ts';
import { emulatorProgram, findEmulator } from './emulator-program.ts';
import { guestOfFile } from './guest-of-file.ts';
import { hostArch } from './host-arch.ts';
import { runFolder } from './run-folder.ts';

/** A program to hand over to, as execve takes it. */
export interface RunCommand {
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface RunContext {
  /** Default: `debian`, asked again after a week only. */
  readonly providers?: readonly EmulatorProvider[];
  readonly env: Readonly<Record<string, string>>;
  /** The launcher tells its decisions. */
  readonly debug: boolean;
  readonly forceEmulation: boolean;
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Told what a user should know though the work goes on. */
  readonly warn?: (message: string) => void;
}

export interface RunOptions extends RunContext {
  readonly file: string;
  readonly args: readonly string[];
  /** Options for the emulator, before the program. They force emulation. */
  readonly emulatorArgs: readonly string[];
  /** A host CPU to pretend; its emulator is run by this machine's. */
  readonly hostArch?: Arch;
}

/**
 * How to run a program of any CPU on this machine.
 *
 * @throws UportError UPORT_EMULATOR_NOT_FOUND, UPORT_NO_LAUNCHER and those of the program's reader
 */
export async function planRun(options: RunOptions): Promise<RunCommand> {
  const guest = await guestOfFile(options.file);
  const here = hostArch();
  if (options.hostArch !== undefined && options.hostArch !== here) {
    return nestedRun(options, guest, here, options.hostArch);
  }
  const emulate = guest !== here || options.forceEmulation || options.emulatorArgs.length > 0;
  const emulator = emulate ? await findEmulator(guest, here, options) : undefined;
  const folder = await launchFolder(here, guest, emulator, options);
  const forced = emulator !== undefined && (guest === here || options.emulatorArgs.length > 0);
  return {
    program: path.join(folder, 'launch'),
    argv: [
      path.join(folder, 'launch'),
      '--default-signals',
      '--',
      programName(options.file),
      ...options.args,
    ],
    env: {
      ...options.env,
      ...(options.debug && { UPORT_DEBUG: '1' }),
      ...((forced || options.forceEmulation) && { UPORT_PREFER: 'emulated' }),
    },
  };
}

/** Without a slash it would be looked up in PATH. */
function programName(file: string): string {
  return file.includes('/') ? file : `./${file}`;
}

/** This machine's emulator of the host runs the host's emulator of the guest, which runs the program. */
async function nestedRun(
  options: RunOptions,
  guest: Arch,
  here: Arch,
  host: Arch,
): Promise<RunCommand> {
  const outer = await emulatorProgram(await findEmulator(host, here, options), options.store);
  const inner =
    guest === host && !options.forceEmulation
      ? []
      : [
          await emulatorProgram(await findEmulator(guest, host, options), options.store),
          ...options.emulatorArgs,
        ];
  const file = programName(options.file);
  const start = inner.length === 0 ? ['-0', file, file] : [...inner, '-0', file, file];
  return { program: outer, argv: [outer, ...start, ...options.args], env: options.env };
}

/** What the user says about the CPU comes before what is known to be better. */
function withCpu(emulator: PinnedEmulator, args: readonly string[]): readonly string[] {
  const cpu = args.includes('-cpu') ? undefined : defaultGuestCpu(emulator);
  return cpu === undefined ? args : ['-cpu', cpu, ...args];
}

/** A folder in the store with the launcher, and a manifest that names the emulator; made once. */
async function launchFolder(
  host: Arch,
  guest: Arch,
  emulator: PinnedEmulator | undefined,
  options: RunOptions,
): Promise<string> {
  const launcher = launcherFor(host.name);
  if (launcher === undefined) {
    throw new UportError({
      code: 'UPORT_NO_LAUNCHER',
      category: 'environment',
      message: `there is no launcher for this machine's CPU, ${host.name}`,
      hint: 'build an artifact here and run it on another host',
    });
  }
  const manifest = encodeManifest({
    emulators:
      emulator === undefined
        ? []
        : [
            {
              name: guest.name,
              elf: guest.elf,
              path: await emulatorProgram(emulator, options.store),
              args: withCpu(emulator, options.emulatorArgs),
            },
          ],
  });
  const name = createHash('sha256').update(`${launcher.sha256}\n${manifest}`).digest('hex');
  return runFolder(options.store, `launch-${name}`, async (folder) => {
    await copyFile(launcher.path, path.join(folder, 'launch'));
    await chmod(path.join(folder, 'launch'), 0o755);
    await writeFile(path.join(folder, 'manifest'), manifest);
  });
}
