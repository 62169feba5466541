// Starts a command with a folder as its root: of any CPU, with and without root.
import { createHash } from 'node:crypto';
import { chmod, copyFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { encodeManifest, launcherFor } from '@uport/launcher';
import { readProgram } from '../app/read-program.ts';
import { binfmtLine } from '../binfmt/formats.ts';
import { binfmtRegistration } from '../binfmt/registration.ts';
import { type Arch, archOfElf } from '../model/arch.ts';
import { type EmulatorSearch, emulatorProgram, findEmulator } from '../run/emulator-program.ts';
import { hostArch } from '../run/host-arch.ts';
import type { RunCommand } from '../run/plan-run.ts';
import { runFolder } from '../run/run-folder.ts';
import { systemError } from '../system-error.ts';
import { locateInRoot } from './root-paths.ts';

export interface EnterRootfsOptions extends EmulatorSearch {
  /** A root file system on disk. */
  readonly root: string;
  /** A program, by its path in the root or a name that is looked for in PATH, and its arguments. */
  readonly command: readonly string[];
  /** The CPU of the root's programs. Default: that of its shell or loader. */
  readonly arch?: Arch;
  /** Folder of the root to start in. Default: `/`. */
  readonly workdir?: string;
  /** Folders and files of this machine that the root has too: absolute paths, from and to. */
  readonly binds?: readonly (readonly [from: string, to: string])[];
  /** Of the command. */
  readonly env: Readonly<Record<string, string>>;
  /** The launcher tells its decisions. */
  readonly debug: boolean;
  /** How programs of the root start others: as `UPORT_EXEC`. */
  readonly exec?: string;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * How to start a command in a root. The launcher makes the namespaces: who is not root is user 0 in
 * there, with the users of `/etc/subuid` where newuidmap gives them.
 *
 * @throws UportError UPORT_ROOTFS_NOT_A_FOLDER, UPORT_ROOTFS_CPU_UNKNOWN, UPORT_EMULATOR_NOT_FOUND,
 *   UPORT_NO_LAUNCHER
 */
export async function planEnterRootfs(options: EnterRootfsOptions): Promise<RunCommand> {
  const root = path.resolve(options.root);
  const status = await stat(root).catch((error: unknown) => {
    throw systemError(error, root);
  });
  if (!status.isDirectory()) {
    throw new UportError({
      code: 'UPORT_ROOTFS_NOT_A_FOLDER',
      category: 'input',
      message: 'it is no folder',
      hint: 'unpack a tar first, or make a folder with uport rootfs create -o DIR',
      file: root,
    });
  }
  const host = hostArch();
  const guest = options.arch ?? (await guestOfRoot(root, options.command[0]));
  const emulator =
    guest === host
      ? undefined
      : await emulatorProgram(await findEmulator(guest, host, options), options.store);
  const launch = path.join(await launchFolder(host, guest, emulator, options), 'launch');
  return {
    program: launch,
    argv: [
      launch,
      '--default-signals',
      ...['--enter', root],
      ...(options.workdir === undefined ? [] : ['--workdir', options.workdir]),
      ...(options.binds ?? []).flatMap(([from, to]) => ['--bind', `${from}=${to}`]),
      ...(emulator === undefined
        ? []
        : ['--register', binfmtLine(binfmtRegistration(guest, emulator))]),
      '--',
      ...options.command,
    ],
    env: {
      PATH: DEFAULT_PATH,
      HOME: '/root',
      ...options.env,
      ...(options.debug && { UPORT_DEBUG: '1' }),
      ...(options.exec !== undefined && { UPORT_EXEC: options.exec }),
    },
  };
}

/** What nearly every root has one of. */
const TELLING = ['bin/sh', 'bin/busybox', 'usr/bin/env', 'usr/bin/dpkg', 'sbin/init', 'bin/true'];

/** @throws UportError UPORT_ROOTFS_CPU_UNKNOWN */
export async function guestOfRoot(root: string, program: string | undefined): Promise<Arch> {
  const named = program?.startsWith('/') ? [program] : [];
  for (const inside of [...named, ...TELLING]) {
    const file = locateInRoot(root, inside);
    if (file === undefined) continue;
    const elf = await readProgram(file, file).catch(() => undefined);
    const arch = elf && archOfElf(elf.identity);
    if (arch !== undefined) return arch;
  }
  throw new UportError({
    code: 'UPORT_ROOTFS_CPU_UNKNOWN',
    category: 'input',
    message: 'nothing in it tells the CPU of its programs',
    hint: 'name it with --arch',
    file: root,
  });
}

/** Launcher, manifest and emulator in one folder: it is seen inside as a whole. */
async function launchFolder(
  host: Arch,
  guest: Arch,
  emulator: string | undefined,
  options: EnterRootfsOptions,
): Promise<string> {
  const launcher = launcherFor(host.name);
  if (launcher === undefined) {
    throw new UportError({
      code: 'UPORT_NO_LAUNCHER',
      category: 'environment',
      message: `there is no launcher for this machine's CPU, ${host.name}`,
      hint: 'enter the root on another host',
    });
  }
  const name = `qemu-${guest.name}`;
  const manifest = encodeManifest({
    emulators:
      emulator === undefined ? [] : [{ name: guest.name, elf: guest.elf, path: name, args: [] }],
  });
  const inputs = [launcher.sha256, emulator ?? '', manifest].join('\n');
  const digest = createHash('sha256').update(inputs).digest('hex');
  return runFolder(options.store, `enter-${digest}`, async (folder) => {
    await copyFile(launcher.path, path.join(folder, 'launch'));
    await chmod(path.join(folder, 'launch'), 0o755);
    await writeFile(path.join(folder, 'manifest'), manifest);
    if (emulator === undefined) return;
    await copyFile(emulator, path.join(folder, name));
    await chmod(path.join(folder, name), 0o755);
  });
}
