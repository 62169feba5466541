import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { extractFromDeb, fetchDebianPackage, parseArch, silentProgress } from '@uport/core';
import { cacheFolder, testStore } from '@uport/testkit';

/** Debian's static busybox of a CPU: the sh and the tools of a simulated host. */
export async function busybox(arch: string, signal: AbortSignal): Promise<string> {
  const { debian } = parseArch(arch);
  if (debian === undefined) throw new Error(`Debian has no ${arch}`);
  const store = await testStore();
  const found = await fetchDebianPackage({
    suites: ['bookworm', 'trixie', 'sid'],
    arch: debian,
    name: 'busybox-static',
    context: { store, progress: silentProgress, signal },
  });
  const file = path.join(
    cacheFolder('busybox'),
    `${arch}-${found.version.replace(/[^\w.+-]/g, '_')}`,
  );
  if (existsSync(file)) return file;
  const wanted = /^(?:usr\/)?bin\/busybox$/;
  for await (const entry of extractFromDeb(found.file, (name) => wanted.test(name), signal)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry.content()) chunks.push(chunk);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, Buffer.concat(chunks), { mode: 0o755 });
    await rename(temporary, file);
    return file;
  }
  throw new Error(`${found.file} has no busybox`);
}
