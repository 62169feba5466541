import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type Arch,
  DEFAULT_HOSTS,
  extractFromDeb,
  fetchDebianPackage,
  silentProgress,
} from '@uport/core';
import { cacheFolder } from '../cache-folder.ts';
import { testStore } from '../kernels/kernel-image.ts';

/** The newest first; the next one serves while a mirror is in the middle of a sync. */
const SUITES = ['sid', 'trixie'];

/**
 * A folder for `--emulators dir:FOLDER` with Debian's emulators of these guests for uport's default
 * hosts. Each package is unpacked once for all guests, which is what a build for one guest can't do.
 *
 * @throws UportError UPORT_DEBIAN_*
 */
export async function emulatorFolder(
  guests: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const folder = cacheFolder('emulators');
  // Two at a time: unpacking keeps a core busy.
  const queue = [...DEFAULT_HOSTS];
  const work = async () => {
    for (let host = queue.shift(); host; host = queue.shift()) {
      await unpackEmulators(host, path.join(folder, host.name), guests, signal);
    }
  };
  await Promise.all([work(), work()]);
  return folder;
}

async function unpackEmulators(
  host: Arch,
  folder: string,
  guests: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set(
    guests.map((guest) => `qemu-${guest}`).filter((name) => !existsSync(path.join(folder, name))),
  );
  if (missing.size === 0) return;
  const { file: deb } = await fetchDebianPackage({
    suites: SUITES,
    arch: host,
    name: 'qemu-user',
    context: { store: await testStore(), progress: silentProgress, signal },
  });
  await mkdir(folder, { recursive: true });
  const wanted = (file: string) =>
    path.posix.dirname(file) === 'usr/bin' && missing.has(path.posix.basename(file));
  for await (const entry of extractFromDeb(deb, wanted, signal)) {
    const file = path.join(folder, path.posix.basename(entry.path));
    const temporary = `${file}.${process.pid}.${crypto.randomUUID()}`;
    try {
      await pipeline(
        Readable.from(entry.content()),
        createWriteStream(temporary, { mode: 0o755 }),
        {
          signal,
        },
      );
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
    missing.delete(path.basename(file));
    if (missing.size === 0) break;
  }
}
