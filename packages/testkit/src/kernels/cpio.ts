// The cpio archive in "new ASCII" form (magic 070701), which Linux takes as an initramfs:
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
import { constants, createReadStream } from 'node:fs';
import type { TreeEntry } from './file-tree.ts';

const TRAILER = 'TRAILER!!!';

function header(entry: TreeEntry, inode: number, device: readonly [number, number]): Buffer {
  const name = Buffer.from(`${entry.path}\0`, 'latin1');
  const fields = [
    inode,
    entry.mode,
    entry.owner,
    entry.owner,
    1, // links
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

/** The archive's bytes; `/dev/console` comes first, since the kernel opens it for the first process. */
export async function* cpioArchive(entries: readonly TreeEntry[]): AsyncGenerator<Uint8Array> {
  let inode = 1;
  yield header(
    { path: 'dev', mode: constants.S_IFDIR | 0o755, owner: 0, size: 0 },
    inode++,
    [0, 0],
  );
  yield header(
    { path: 'dev/console', mode: constants.S_IFCHR | 0o600, owner: 0, size: 0 },
    inode++,
    [5, 1],
  );
  for (const entry of entries) {
    yield header(entry, inode++, [0, 0]);
    const { source } = entry;
    if (!source) continue;
    if ('target' in source) yield pad(Buffer.from(source.target, 'latin1'));
    else if ('bytes' in source) yield pad(Buffer.from(source.bytes));
    else {
      let size = 0;
      for await (const chunk of createReadStream(Buffer.from(source.file, 'latin1'))) {
        size += chunk.length;
        yield chunk;
      }
      if (size !== entry.size) throw new Error(`${source.file} changed while it was read`);
      yield Buffer.alloc(-size & 3);
    }
  }
  yield header({ path: TRAILER, mode: 0, owner: 0, size: 0 }, 0, [0, 0]);
}
