import { spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CpioEntry, cpioArchive } from './cpio.ts';
import { folderEntries } from './folder-entries.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-cpio-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function archive(entries: readonly CpioEntry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of cpioArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const file = (name: string, bytes: Uint8Array): CpioEntry => {
  const source = { bytes };
  return { path: name, mode: constants.S_IFREG | 0o750, owner: 0, size: bytes.length, source };
};

/** The kernel's own way through an archive: fields, a padded name, padded bytes. */
function readBack(bytes: Buffer) {
  const entries: { path: string; mode: number; inode: number; links: number; data: Buffer }[] = [];
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    expect(bytes.toString('latin1', at, at + 6)).toBe('070701');
    const [inode, mode, links] = [field(0), field(1), field(4)];
    const [size, nameSize] = [field(6), field(11)];
    const name = bytes.toString('latin1', at + 110, at + 110 + nameSize - 1);
    const start = (at + 110 + nameSize + 3) & ~3;
    if (name === 'TRAILER!!!') return entries;
    entries.push({ path: name, mode, inode, links, data: bytes.subarray(start, start + size) });
    at = (start + size + 3) & ~3;
  }
}

describe('a cpio archive', () => {
  test('has what was put in', async () => {
    const name = fc
      .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 40 })
      .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('/', '_'));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 70 })), {
          selector: ([each]) => each,
        }),
        async (files) => {
          const found = readBack(await archive(files.map(([each, bytes]) => file(each, bytes))));
          expect(found.slice(0, 2).map((each) => each.path)).toEqual(['dev', 'dev/console']);
          expect(found.slice(2).map((each) => [each.path, Buffer.from(each.data)])).toEqual(
            files.map(([each, bytes]) => [each, Buffer.from(bytes)]),
          );
        },
      ),
    );
  });

  test('has the bytes of a file with several names once, and what its owner may not read', async () => {
    const root = path.join(folder, 'names');
    await mkdir(path.join(root, 'sub'), { recursive: true });
    await writeFile(path.join(root, 'a'), 'hello', { mode: 0o755 });
    await link(path.join(root, 'a'), path.join(root, 'b'));
    await link(path.join(root, 'a'), path.join(root, 'sub/c'));
    await writeFile(path.join(root, 'sub/secret'), 'closed');
    await chmod(path.join(root, 'sub/secret'), 0);
    await chmod(path.join(root, 'sub'), 0);
    const found = readBack(await archive(await folderEntries(root))).slice(2);
    await chmod(path.join(root, 'sub'), 0o700);
    const shown = found.map(({ path: name, mode, links, data }) => {
      return [name, mode & 0o7777, links, data.toString()];
    });
    expect(shown).toEqual([
      ['a', 0o755, 3, 'hello'],
      ['b', 0o755, 3, ''],
      ['sub', 0, 1, ''],
      ['sub/c', 0o755, 3, ''],
      ['sub/secret', 0, 1, 'closed'],
    ]);
    const inodes = found.map(({ inode }) => inode);
    expect(new Set(inodes).size).toBe(3);
    expect(inodes[0]).toBe(inodes[1]);
    expect(inodes[0]).toBe(inodes[3]);
  });

  const missing = spawnSync('busybox').error
    ? 'busybox missing: apt-get install busybox-static'
    : undefined;
  test.skipIf(missing)(
    `is unpacked by cpio as the folder it was made of${missing ? ` (${missing})` : ''}`,
    async () => {
      const out = path.join(folder, 'out');
      await writeFile(path.join(folder, 'own'), 'of the disk', { mode: 0o640 });
      const linkMode = constants.S_IFLNK | 0o777;
      const entries: CpioEntry[] = [
        ...(await folderEntries(folder)),
        { path: 'sub', mode: constants.S_IFDIR | 0o711, owner: 0, size: 0 },
        file('sub/a', Buffer.from('hello')),
        { path: 'sub/also', mode: constants.S_IFREG | 0o750, owner: 0, size: 0, sameAs: 'sub/a' },
        { path: 'sub/link', mode: linkMode, owner: 0, size: 1, source: { target: 'a' } },
      ];
      const input = await archive(entries);
      await mkdir(out);
      // Who is not root cannot make the console.
      const wanted = ['own', 'sub', 'sub/a', 'sub/also', 'sub/link'];
      spawnSync('busybox', ['cpio', '-idm', ...wanted], { cwd: out, input });
      expect(await readFile(path.join(out, 'own'), 'utf8')).toBe('of the disk');
      expect((await stat(path.join(out, 'sub/a'))).mode & 0o7777).toBe(0o750);
      expect(await readFile(path.join(out, 'sub/also'), 'utf8')).toBe('hello');
      expect((await stat(path.join(out, 'sub/also'))).nlink).toBe(2);
      expect(await readlink(path.join(out, 'sub/link'))).toBe('a');
    },
  );

  test('refuses what its fields cannot hold', async () => {
    const long = file('x'.repeat(4096), Buffer.of());
    await expect(archive([long])).rejects.toMatchObject({ code: 'UPORT_CPIO_LIMIT' });
    const huge = { ...file('x', Buffer.of()), size: 2 ** 32 };
    await expect(archive([huge])).rejects.toMatchObject({ code: 'UPORT_CPIO_LIMIT' });
    await writeFile(path.join(folder, 'grown'), 'longer than it was');
    const grown = { ...file('x', Buffer.alloc(3)), source: { file: path.join(folder, 'grown') } };
    await expect(archive([grown])).rejects.toMatchObject({ code: 'UPORT_INPUT_CHANGED' });
  });
});
