// Files in which no byte may be changed: compressed, or under check sums. Pure.

/** Of the first bytes of a file, at an offset. */
const MAGIC: readonly (readonly [name: string, offset: number, bytes: string])[] = [
  ['gzip', 0, '\x1f\x8b'],
  ['xz', 0, '\xfd7zXZ\0'],
  ['zstd', 0, '\x28\xb5\x2f\xfd'],
  ['bzip2', 0, 'BZh'],
  ['lz4', 0, '\x04\x22\x4d\x18'],
  ['lzip', 0, 'LZIP'],
  ['zip', 0, 'PK\x03\x04'],
  ['7-Zip', 0, '7z\xbc\xaf\x27\x1c'],
  ['squashfs', 0, 'hsqs'],
  ['PNG', 0, '\x89PNG\r\n\x1a\n'],
  ['WOFF', 0, 'wOFF'],
  ['WOFF2', 0, 'wOF2'],
  ['tar', 257, 'ustar'],
  ['cpio with check sums', 0, '070702'],
];

/** What of a file `sealedFormat` wants to see. Bytes. */
export const SEAL_HEAD = 262;

/** The name of such a format; undefined for a file whose bytes stand for themselves. */
export function sealedFormat(head: Uint8Array): string | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  return MAGIC.find(([, offset, bytes]) => text.startsWith(bytes, offset))?.[0];
}
