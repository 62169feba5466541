// How each host starts a universal, FatELF or single-host file.
import { chmod, copyFile, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileSource } from '../app/file-source.ts';
import { parseArch } from '../model/arch.ts';
import type { PayloadHost } from '../universal/payload-index.ts';
import { readUniversal } from '../universal/read-universal.ts';
import type { HostStarts } from './host-start.ts';
import { fileOnKernel, placeOnKernel } from './kernel-file.ts';
import { type GuestEmulators, outerManifest, type SimulatedHost } from './simulated-host.ts';
import { TELL } from './taken-emulator.ts';

/**
 * The hosts of the file. A host's launcher is taken out of it and told to unpack and start the app, as
 * the script at the file's beginning does on that host.
 *
 * @throws UportError UPORT_PAYLOAD_INVALID, UPORT_FATELF_*
 */
export async function fileStarts(file: string): Promise<HostStarts | undefined> {
  const handle = await open(file, 'r');
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    const universal = await readUniversal(source);
    if (universal === undefined) return undefined;
    const { id, index, form } = universal;
    const whole = path.resolve(file);
    return universal.launchers.map(({ host, offset, size }) => {
      const parts = index.hosts.find(({ name }) => name === host);
      const main = index.programs[0]?.path;
      const slice = parts?.slices.some((each) => each.path === main);
      const guest = parts?.emulators[0]?.guest;
      const translator = slice ? undefined : parts?.translator?.name;
      const tell = translator === undefined ? {} : TELL;
      return {
        host: parseArch(host),
        ...(translator !== undefined && { translator }),
        runs: slice ? 'native build' : guest === undefined ? 'directly' : `qemu-${guest}`,
        async prepare({ simulated, args, folder, env }) {
          const own = { ...env, ...tell, UPORT_CACHE_DIR: path.join(folder, 'cache') };
          await mkdir(own.UPORT_CACHE_DIR, { mode: 0o700 });
          if (simulated.native && form === 'universal') {
            return { argv: ['/bin/sh', whole, ...args], env: own };
          }
          const launcher = path.join(folder, 'launcher');
          const bytes = await readAgain(whole, offset, size);
          await writeFile(launcher, bytes);
          await chmod(launcher, 0o755);
          const start =
            form === 'single-host'
              ? [whole, ...args]
              : [launcher, '--unpack', whole, whole, ...args];
          if (simulated.native) return { argv: start, env: own };
          // What the launcher here takes for itself must come after it.
          const told = Object.entries(tell).map(([name, value]) => `${name}=${value}`);
          const inner = ['env', `UPORT_CACHE_DIR=${own.UPORT_CACHE_DIR}`, ...told, ...start];
          const unpacked = path.join(own.UPORT_CACHE_DIR, `${id}-${host}`);
          const outer = await putLauncher(simulated, folder, guestEmulators(parts, unpacked));
          return { argv: [outer, '--', ...inner], env };
        },
        async onKernel({ args, folder, env }) {
          const place = placeOnKernel(whole);
          const own = { ...env, ...tell };
          // As a user starts it: a kernel that knows no scripts would not come this far.
          if (form !== 'fatelf') return fileOnKernel([whole], [place], args, own);
          // Beside the file, which may have any other name.
          const launcher = path.join(folder, '.uport-launcher');
          await writeFile(launcher, await readAgain(whole, offset, size));
          const words = [placeOnKernel(launcher), '--unpack', place, place];
          return fileOnKernel([whole, launcher], words, args, own);
        },
      };
    });
  } finally {
    await handle.close();
  }
}

async function readAgain(file: string, offset: number, size: number): Promise<Uint8Array> {
  const handle = await open(file, 'r');
  try {
    return await fileSource(handle, (await handle.stat()).size).read(offset, size);
  } finally {
    await handle.close();
  }
}

/** The host's emulators where its launcher unpacks them. */
function guestEmulators(host: PayloadHost | undefined, unpacked: string): GuestEmulators {
  const folder = Buffer.from(unpacked).toString('latin1');
  return (host?.emulators ?? []).map(({ guest, elf, args }) => ({
    name: guest,
    elf,
    path: `${folder}/qemu-${guest}`,
    args: args.map((arg) => arg.replace(/^\$FOLDER\//, () => `${folder}/`)),
  }));
}

/** This machine's launcher, told of the app's emulators. */
async function putLauncher(
  simulated: SimulatedHost,
  folder: string,
  guests: GuestEmulators,
): Promise<string> {
  const outer = path.join(folder, 'outer');
  await mkdir(outer);
  await copyFile(simulated.launcher as string, path.join(outer, 'launch'));
  const emulator = Buffer.from(simulated.emulator as string).toString('latin1');
  await writeFile(path.join(outer, 'manifest'), outerManifest(simulated, emulator, guests));
  return path.join(outer, 'launch');
}
