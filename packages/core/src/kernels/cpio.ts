// The cpio archive in "new ASCII" form (magic 070701), which Linux takes as an initramfs:
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
import { constants, createReadStream } from 'node:fs';
import { UportError } from '@uport/errors';

/** One entry of an archive; characters of paths and targets stand for bytes (Latin-1). */
export interface CpioEntry {
  /** Relative, without a leading slash. */
  readonly path: string;
  /** With the type's bits, as in `st_mode`. */
  readonly mode: number;
  /** User and group. */
  readonly owner: number;
  /** In bytes; a symbolic link's is that of its target, a further name's 0. */
  readonly size: number;
  /** An earlier entry's path, when this is a further name of the same file. */
  readonly sameAs?: string;
  /** Left out for folders and further names. */
  readonly source?:
    | { readonly file: string }
    | { readonly bytes: Uint8Array }
    | { readonly target: string };
}

/** Sizes are eight hex digits. */
const MAX_SIZE = 0xffffffff;
/** What the kernel's reader takes. */
const MAX_NAME = 4096;
const TRAILER = 'TRAILER!!!';

function header(
  entry: CpioEntry,
  inode: number,
  device: readonly [number, number] = [0, 0],
  links = 1,
): Buffer {
  const name = Buffer.from(`${entry.path}\0`, 'latin1');
  if (name.length > MAX_NAME || entry.path.includes('\0') || entry.size > MAX_SIZE) {
    throw new UportError({
      code: 'UPORT_CPIO_LIMIT',
      category: 'input',
      message: `${JSON.stringify(entry.path.slice(0, 200))} does not fit an initramfs: a name has at most ${MAX_NAME - 1} bytes, a file 4 GiB`,
      hint: 'verify without --kernel',
    });
  }
  const fields = [
    inode,
    entry.mode,
    entry.owner,
    entry.owner,
    links,
    0, // time
    entry.size,
    0, // the device it lay on
    0,
    ...device,
    name.length,
    0, // checksum, unused in this form
  ];
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return pad(Buffer.concat([Buffer.from(text), name]));
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

/**
 * The archive's bytes, entries in the order given: parents first. `/dev/console` is made before them,
 * since the kernel opens it for the first process.
 *
 * @throws UportError UPORT_CPIO_LIMIT, UPORT_INPUT_CHANGED
 */
export async function* cpioArchive(entries: readonly CpioEntry[]): AsyncGenerator<Uint8Array> {
  let inode = 1;
  yield header({ path: 'dev', mode: constants.S_IFDIR | 0o755, owner: 0, size: 0 }, inode++);
  yield header(
    { path: 'dev/console', mode: constants.S_IFCHR | 0o600, owner: 0, size: 0 },
    inode++,
    [5, 1],
  );
  // Names of one file have its inode and their number. The bytes may come with any of them: the kernel writes
  // an entry that has some into the file that is there.
  const names = Map.groupBy(entries, ({ path, sameAs }) => sameAs ?? path);
  const inodes = new Map<string, number>();
  for (const entry of entries) {
    const { source, path, sameAs } = entry;
    const known = sameAs === undefined ? undefined : inodes.get(sameAs);
    const own = known ?? inode++;
    inodes.set(path, own);
    yield header(entry, own, [0, 0], names.get(sameAs ?? path)?.length);
    if (!source) continue;
    if ('target' in source) yield pad(Buffer.from(source.target, 'latin1'));
    else if ('bytes' in source) yield pad(Buffer.from(source.bytes));
    else yield* fileBytes(source.file, entry.size);
  }
  yield header({ path: TRAILER, mode: 0, owner: 0, size: 0 }, 0);
}

async function* fileBytes(file: string, expected: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of createReadStream(Buffer.from(file, 'latin1'))) {
    size += chunk.length;
    if (size > expected) break;
    yield chunk;
  }
  if (size !== expected) {
    throw new UportError({
      code: 'UPORT_INPUT_CHANGED',
      category: 'input',
      message: 'it changed while it was read',
      hint: 'start again when nothing writes to it',
      file,
    });
  }
  yield Buffer.alloc(-size & 3);
}
