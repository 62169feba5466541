import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { extractFromDeb, fetchDebianPackage, silentProgress } from '@uport/core';
import { cacheFolder, SIMULATED_HOSTS, testStore } from '@uport/testkit';

/**
 * The module binfmt_misc for the kernel of a simulated host with one of Debian's newest; answers its
 * bytes. It is kept beside the kernel: remove `.cache/kernels` to get newer ones of both.
 */
export async function binfmtModule(name: string, signal: AbortSignal): Promise<Buffer> {
  const file = cacheFolder('kernels', name, 'binfmt_misc.ko');
  if (existsSync(file)) return readFile(file);
  const kernel = SIMULATED_HOSTS.find((host) => host.name === name)?.machine?.kernel;
  if (kernel === undefined) throw new Error(`${name} has no kernel of its own`);
  const { file: deb } = await fetchDebianPackage({
    suites: kernel.suites,
    arch: kernel.architecture,
    // bookworm's kernels come with their modules in one package.
    name: new RegExp(kernel.name.source.replace('linux-binary-', 'linux-modules-')),
    context: { store: await testStore(), progress: silentProgress, signal },
  });
  const wanted = (entry: string) => /\/fs\/binfmt_misc\.ko(?:\.xz)?$/.test(entry);
  for await (const entry of extractFromDeb(deb, wanted, signal)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry.content()) chunks.push(chunk);
    const packed = Buffer.concat(chunks);
    const module = entry.path.endsWith('.xz') ? unpack(packed) : packed;
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(`${file}.new`, module);
    await rename(`${file}.new`, file);
    return module;
  }
  throw new Error(`${deb} holds no module binfmt_misc`);
}

function unpack(packed: Buffer): Buffer {
  const { status, stdout } = spawnSync('xz', ['-dc'], { input: packed });
  if (status !== 0) throw new Error('xz is missing: apt-get install xz-utils');
  return stdout;
}
