import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findLibraries } from './contents-index.ts';

const INDEX = `usr/bin/tool                                            utils/tool
usr/lib/riscv64-linux-gnu/libz.so.1                     libs/zlib1g
usr/lib/riscv64-linux-gnu/libz.so.1.3                   libs/zlib1g,non-free/libs/zlib-other
usr/share/doc/notes.so.txt                              doc/notes
usr/lib/with space/libodd.so.2                          libs/odd
usr/lib/ld-linux-riscv64-lp64d.so.1                     libs/libc6
usr/lib/x/module.so                                     libs/mod`;

const WANTED = [
  'usr/lib/riscv64-linux-gnu/libz.so.1\tzlib1g\n',
  'usr/lib/riscv64-linux-gnu/libz.so.1.3\tzlib1g,zlib-other\n',
  'usr/lib/with space/libodd.so.2\todd\n',
  'usr/lib/ld-linux-riscv64-lp64d.so.1\tlibc6\n',
];

test('the libraries of an index, wherever its chunks are cut', async () => {
  const bytes = Buffer.from(INDEX, 'latin1');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      async function* chunks() {
        for (const [index, place] of places.slice(1).entries()) {
          yield bytes.subarray(places[index], place);
        }
      }
      const lines: string[] = [];
      for await (const line of findLibraries(chunks())) lines.push(line);
      expect(lines).toEqual(WANTED);
    }),
  );
});

test('a line without end is refused', async () => {
  async function* endless() {
    for (;;) yield Buffer.alloc(1 << 18, 'x');
  }
  const read = async () => {
    for await (const _ of findLibraries(endless()));
  };
  await expect(read()).rejects.toMatchObject({ code: 'UPORT_DEBIAN_INDEX_INVALID' });
});
