// Node with the loader and libraries of this machine, so that it starts where there are none.
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { closureOfFile } from '../closure/index.ts';

/** The loader's name in the folder; it is not there when Node is static. */
const LOADER = 'loader';

/**
 * Writes `bin/node`, and, for a dynamic one, `loader` and `lib/`: then
 * `loader --library-path lib bin/node` starts it.
 *
 * @param node the program
 * @throws UportError UPORT_LIBRARY_NOT_FOUND, UPORT_NOT_FOUND, UPORT_ELF_*
 */
export async function writeNodeRuntime(
  node: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const { objects, missing, interpreter } = await closureOfFile({
    file: node,
    withoutRuntimeLoads: true,
    signal,
  });
  if (missing.length > 0) {
    throw new UportError({
      code: 'UPORT_LIBRARY_NOT_FOUND',
      category: 'environment',
      message: `Node's libraries are not all there: ${missing.map(({ name }) => name).join(', ')}`,
      hint: 'run uport with a Node that needs no LD_LIBRARY_PATH',
      file: node,
    });
  }
  for (const each of ['bin', 'lib']) await mkdir(path.join(folder, each), { recursive: true });
  for (const [index, { path: place, realPath }] of objects.entries()) {
    signal.throwIfAborted();
    const name = path.basename(place);
    const target = index === 0 ? 'bin/node' : place === interpreter?.path ? LOADER : `lib/${name}`;
    const copy = path.join(folder, target);
    await copyFile(Buffer.from(realPath, 'latin1'), copy);
    await chmod(copy, 0o755);
  }
}
