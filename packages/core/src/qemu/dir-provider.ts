import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { dirTranslator } from '../translators/dir-translator.ts';
import { chooseEmulator, emulatorNames, pinEmulator, spellings } from './choose-emulator.ts';
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
    async findTranslator(rule, host, context) {
      await checkFolder(folder);
      const places = ['', ...spellings(host)].map((name) => path.join(folder, name));
      return dirTranslator(places, rule, host, context);
    },
  };
}

async function find(
  folder: string,
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  await checkFolder(folder);
  const files = (await candidates(folder, guest, host)).map((file) => {
    const place = path.join(folder, file);
    return { place, shown: place, file };
  });
  const found = await chooseEmulator(files, guest, host, context.signal);
  if (found === undefined) return undefined;
  // Relative, so that a plan is the same wherever the folder lies.
  const origin = { provider: 'dir', file: found.chosen.file } as const;
  return pinEmulator(found, guest, host, origin, context);
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
