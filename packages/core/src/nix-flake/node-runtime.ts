// Node with the loader and libraries of this machine, so that it starts where there are none.
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { readProgram } from '../app/read-program.ts';
import { closureOfFile } from '../closure/index.ts';

/** The loader's name in the folder; it is not there when Node is static. */
const LOADER = 'loader';

/**
 * Writes `bin/node`, and, for a dynamic one, `loader` and `lib/`: then
 * `loader --library-path lib bin/node` starts it.
 *
 * @param node the program; where such a folder started it, the folder's `loader`
 * @throws UportError UPORT_LIBRARY_NOT_FOUND, UPORT_NODE_IS_LOADER, UPORT_NOT_FOUND, UPORT_ELF_*
 */
export async function writeNodeRuntime(
  node: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (await copyRuntime(path.dirname(node), path.basename(node), folder, signal)) return;
  if ((await readProgram(node, node)).linkage === 'shared-object') throw isLoader(node);
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

/**
 * Copies such a folder as it is. Node that a loader has started takes that for its own program, whose
 * closure would be a loader that is called node.
 */
async function copyRuntime(
  from: string,
  started: string,
  to: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (started !== LOADER || !existsSync(path.join(from, 'bin/node'))) return false;
  const libraries = (await readdir(path.join(from, 'lib'))).map((name) => `lib/${name}`);
  for (const each of ['bin', 'lib']) await mkdir(path.join(to, each), { recursive: true });
  for (const each of [LOADER, 'bin/node', ...libraries]) {
    signal.throwIfAborted();
    await copyFile(path.join(from, each), path.join(to, each));
    await chmod(path.join(to, each), 0o755);
  }
  return true;
}

function isLoader(file: string): UportError {
  return new UportError({
    code: 'UPORT_NODE_IS_LOADER',
    category: 'environment',
    message: 'Node was started by a loader, so which program it is cannot be told',
    hint: 'run uport with a Node that starts by itself',
    file,
  });
}
