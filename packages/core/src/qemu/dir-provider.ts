import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { checkEmulator, compareQemuVersions, readEmulatorFile } from './emulator-file.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';

/** Where programs lie below a folder. */
const BIN_FOLDERS = ['', 'bin', 'usr/bin', 'usr/local/bin'];

/**
 * Static builds on disk: `qemu-GUEST`, also with `-static` or a spelling of the host after it, in
 * the folder, in its `bin` folders, and in folders of it named after the host. The files' own bytes
 * decide what they are, not their names.
 */
export function dirProvider(folder: string): EmulatorProvider {
  return {
    name: `dir:${folder}`,
    find: (guest, host, context) => find(folder, guest, host, context),
  };
}

async function find(
  folder: string,
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  await checkFolder(folder);
  let best: { file: string; version: string } | undefined;
  let refused: unknown;
  for (const file of await candidates(folder, guest, host)) {
    context.signal.throwIfAborted();
    try {
      const emulator = await readEmulatorFile(path.join(folder, file));
      // Builds for other hosts may lie side by side under the same names.
      if (emulator.host !== host) continue;
      const { version } = checkEmulator(emulator, guest, host, file);
      if (!best || compareQemuVersions(version, best.version) > 0) best = { file, version };
    } catch (error) {
      if (!(error instanceof UportError)) throw error;
      // A wrapper script beside the program is no fault of the program.
      if (error.code !== 'UPORT_ELF_NOT_ELF') refused ??= error.inFile(path.join(folder, file));
    }
  }
  if (!best) {
    if (refused) throw refused;
    return undefined;
  }
  const { digest, size } = await context.store.putFile(path.join(folder, best.file), {
    signal: context.signal,
  });
  return {
    kind: 'qemu',
    host: host.name,
    guest: guest.name,
    version: best.version,
    digest,
    size,
    // Relative, so that a plan is the same wherever the folder lies.
    origin: { provider: 'dir', file: best.file },
  };
}

/** Files that may be it, relative to the folder, in a fixed order. */
async function candidates(folder: string, guest: Arch, host: Arch): Promise<readonly string[]> {
  const programs = emulatorNames(guest, host);
  const folders = ['', ...spellings(host)].flatMap((name) =>
    BIN_FOLDERS.map((bin) => path.join(name, bin)),
  );
  const found: string[] = [];
  for (const each of new Set(folders)) {
    const place = path.join(folder, each);
    const names = await readdir(place).catch(() => []);
    for (const name of names.filter((one) => programs.has(one)).sort()) {
      const status = await stat(path.join(place, name)).catch(() => undefined);
      if (status?.isFile()) found.push(path.join(each, name));
    }
  }
  return found;
}

/** What an emulator's file may be called. */
export function emulatorNames(guest: Arch, host: Arch): ReadonlySet<string> {
  const programs = new Set<string>();
  for (const name of [guest.name, ...spellings(guest)]) {
    for (const static_ of ['', '-static']) {
      programs.add(`qemu-${name}${static_}`);
      for (const hostName of spellings(host)) {
        programs.add(`qemu-${name}${static_}-${hostName}`);
        programs.add(`qemu-${name}-${hostName}${static_}`);
      }
    }
  }
  return programs;
}

/** What people call a CPU in names of folders and files. */
function spellings(arch: Arch): readonly string[] {
  return [
    ...new Set(
      [
        arch.name,
        arch.debian,
        arch.gnu,
        arch.nix,
        arch.oci?.architecture,
        ...arch.uname,
        ...arch.aliases,
      ].filter((name): name is string => name !== undefined && !name.includes('/')),
    ),
  ];
}

async function checkFolder(folder: string): Promise<void> {
  const status = await stat(folder).catch(() => undefined);
  if (status?.isDirectory()) return;
  throw new UportError({
    code: 'UPORT_EMULATOR_FOLDER_MISSING',
    category: 'usage',
    message: `${folder} is no folder that can be read`,
    hint: 'dir: wants the folder that holds static builds of QEMU, such as dir:/usr/bin',
    file: folder,
  });
}
