import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyBranchFilter, BRANCH_FILTERS, undoBranchFilter } from './branch-filter.ts';

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function joined(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** Bytes in which calls of every filtered CPU are common. */
const code = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      fc.array(fc.constantFrom(0xe8, 0xe9, 0x00, 0xff, 0x12, 0xc0, 0xe5), {
        minLength: 1,
        maxLength: 9,
      }),
      fc.constantFrom(
        [0xe8, 0x10, 0x20, 0x00, 0x00],
        [0xe9, 0xf0, 0xff, 0xff, 0xff],
        [0x01, 0x02, 0x00, 0x94],
        [0xff, 0xff, 0xff, 0x97],
        [0x05, 0x00, 0x00, 0x48],
        [0xc0, 0xe5, 0xff, 0xff, 0xff, 0xf0],
        [0xc0, 0x10, 0x00, 0x00, 0x10, 0x00],
      ),
    ),
    { maxLength: 200 },
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part))));

test.each(BRANCH_FILTERS)('%s: undone is what it was, however the bytes come', async (filter) => {
  await fc.assert(
    fc.asyncProperty(code, fc.integer({ min: 1, max: 50 }), async (bytes, size) => {
      const packed = await joined(applyBranchFilter(inPieces(bytes, size), filter));
      expect(packed.length).toBe(bytes.length);
      expect(packed).toEqual(await joined(applyBranchFilter(inPieces(bytes, 1000), filter)));
      expect(await joined(undoBranchFilter(inPieces(packed, size + 1), filter))).toEqual(bytes);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ['x86', [0x90, 0xe8, 0x10, 0x00, 0x00, 0x00], [0x90, 0xe8, 0x16, 0x00, 0x00, 0x00]],
  ['arm64', [0, 0, 0, 0, 0x02, 0x00, 0x00, 0x94], [0, 0, 0, 0, 0x03, 0x00, 0x00, 0x94]],
  ['ppc64le', [0, 0, 0, 0, 0x09, 0x00, 0x00, 0x48], [0, 0, 0, 0, 0x0d, 0x00, 0x00, 0x48]],
  ['s390x', [0, 0, 0xc0, 0xe5, 0, 0, 0, 2], [0, 0, 0xc0, 0xe5, 0, 0, 0, 3]],
] as const)('%s: a call names its target', async (filter, before, after) => {
  const packed = await joined(applyBranchFilter(inPieces(Buffer.from(before), 100), filter));
  expect([...packed]).toEqual([...after]);
});
