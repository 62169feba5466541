import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import type { NarChild, NarFile, NarNode } from './nar-node.ts';
import { isNarName, NAR_MAGIC, narLength, narTokens, narZeros } from './nar-wire.ts';

export interface WriteNarOptions {
  readonly signal?: AbortSignal;
}

const CHUNK = 1 << 16;

/**
 * Yields the NAR of a node, byte for byte what `nix-store --dump` prints. Directory entries are
 * sorted bytewise.
 *
 * @throws UportError UPORT_NAR_NAME_INVALID for a name no directory can hold, or one given twice;
 * UPORT_INPUT_CHANGED when a file has another size than it said
 */
export async function* writeNar(
  root: NarNode,
  options: WriteNarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal } = options;
  const chunks = gather();
  /** The directories that are open, each with what is left of it. */
  const open: { path: string; children: Iterator<NarChild> }[] = [];
  let path = '';
  let node: NarNode | undefined = root;
  chunks.add(narTokens(NAR_MAGIC));
  while (node !== undefined) {
    signal?.throwIfAborted();
    if (node.type === 'directory') {
      chunks.add(narTokens('(', 'type', 'directory'));
      open.push({ path, children: sorted(await node.list(), path).values() });
    } else if (node.type === 'symlink') {
      chunks.add(narTokens('(', 'type', 'symlink', 'target', node.target, ')'));
      if (open.length > 0) chunks.add(CLOSE);
    } else {
      chunks.add(node.executable ? EXECUTABLE : REGULAR);
      chunks.add(narLength(node.size));
      for await (const bytes of sized(node, path)) {
        signal?.throwIfAborted();
        chunks.add(bytes);
        if (chunks.size >= CHUNK) yield chunks.take();
      }
      chunks.add(narZeros(node.size));
      chunks.add(open.length > 0 ? CLOSE_TWICE : CLOSE);
    }
    node = undefined;
    while (node === undefined && open.length > 0) {
      const directory = open[open.length - 1] as (typeof open)[number];
      const next = directory.children.next();
      if (next.done) {
        open.pop();
        chunks.add(open.length > 0 ? CLOSE_TWICE : CLOSE);
      } else {
        const { name } = next.value;
        chunks.add(narTokens('entry', '(', 'name', name, 'node'));
        path = directory.path === '' ? name : `${directory.path}/${name}`;
        node = await next.value.node();
      }
      if (chunks.size >= CHUNK) yield chunks.take();
    }
  }
  yield chunks.take();
}

const REGULAR = narTokens('(', 'type', 'regular', 'contents');
const EXECUTABLE = narTokens('(', 'type', 'regular', 'executable', '', 'contents');
const CLOSE = narTokens(')');
/** Of the node and of the entry around it. */
const CLOSE_TWICE = narTokens(')', ')');

function gather() {
  let parts: Uint8Array[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(bytes: Uint8Array): void {
      parts.push(bytes);
      size += bytes.length;
    },
    take(): Uint8Array {
      const [first] = parts;
      const taken = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, size);
      parts = [];
      size = 0;
      return taken;
    },
  };
}

function sorted(children: readonly NarChild[], path: string): readonly NarChild[] {
  const result = [...children].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  let last: string | undefined;
  for (const { name } of result) {
    if (!isNarName(name) || name === last) {
      throw new UportError({
        code: 'UPORT_NAR_NAME_INVALID',
        category: 'input',
        message: `${JSON.stringify(displayBytes(name))} ${name === last ? 'stands twice' : 'is not a file name'} in ${JSON.stringify(displayBytes(path || '.'))}`,
        hint: 'give each entry of a folder a name of its own, without / and NUL',
      });
    }
    last = name;
  }
  return result;
}

async function* sized(file: NarFile, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  let left = file.size;
  for await (const bytes of file.open()) {
    left -= bytes.length;
    if (left < 0) break;
    yield bytes;
  }
  if (left !== 0) {
    throw new UportError({
      code: 'UPORT_INPUT_CHANGED',
      category: 'input',
      message: `${displayBytes(path) || 'the file'} changed while it was packed`,
      hint: 'let nothing write to the app while it is packed, and build again',
    });
  }
}
