import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  extractFromDeb,
  fetchDebianPackage,
  type KernelPackage,
  Store,
  silentProgress,
} from '@uport/core';
import { cacheFolder } from '../cache-folder.ts';

/** The store that tests share, so that nothing is downloaded twice. */
export function testStore(): Promise<Store> {
  return Store.open(cacheFolder('store'));
}

/**
 * A verified kernel of Debian's; answers its path. Once there it is kept: remove `.cache/kernels` to
 * get newer ones.
 *
 * @throws UportError UPORT_DEBIAN_*
 */
export async function kernelImage(
  name: string,
  kernel: KernelPackage,
  signal: AbortSignal,
): Promise<string> {
  const file = cacheFolder('kernels', name, 'vmlinuz');
  if (existsSync(file)) return file;
  const { file: deb } = await fetchDebianPackage({
    suites: kernel.suites,
    arch: kernel.architecture,
    name: kernel.name,
    context: { store: await testStore(), progress: silentProgress, signal },
  });
  await mkdir(path.dirname(file), { recursive: true });
  for await (const entry of extractFromDeb(deb, (each) => kernel.path.test(each), signal)) {
    const temporary = `${file}.${process.pid}.${crypto.randomUUID()}`;
    try {
      await pipeline(Readable.from(entry.content()), createWriteStream(temporary), { signal });
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
    return file;
  }
  throw new Error(`${deb} holds no ${kernel.path}`);
}
