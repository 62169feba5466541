// The compressions that archives come in, told by their first bytes.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import { unxz } from '../debian/xz.ts';
import { layerDecoder } from '../oci/decompress.ts';
import { OCI_LAYER_GZIP, OCI_LAYER_TAR, OCI_LAYER_ZSTD } from '../oci/media-types.ts';

export type TarPacking = 'none' | 'gzip' | 'xz' | 'zstd';

/** How a file, or the part of it from `start`, is compressed. @throws UportError UPORT_TAR_COMPRESSION */
export async function packingOf(file: string, start = 0): Promise<TarPacking> {
  const handle = await open(file, 'r');
  try {
    const head = Buffer.alloc(6);
    const { bytesRead } = await handle.read(head, 0, 6, start);
    const hex = head.toString('hex', 0, bytesRead);
    if (hex.startsWith('1f8b')) return 'gzip';
    if (hex.startsWith('fd377a585a00')) return 'xz';
    // A skippable frame may come first.
    if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return 'zstd';
    if (hex.startsWith('425a68') || hex.startsWith('5d0000') || hex.startsWith('4c5a4950')) {
      throw new UportError({
        code: 'UPORT_TAR_COMPRESSION',
        category: 'input',
        message: 'it is compressed with bzip2, lzma or lzip, which uport does not unpack',
        hint: 'pack it again with gzip, xz or zstd, or not at all',
        file,
      });
    }
    return 'none';
  } finally {
    await handle.close();
  }
}

/**
 * The unpacked bytes of a file, or of the part from `start` to `end`. A chunk holds its bytes only
 * until the next one is asked for.
 *
 * @param read told how many packed bytes were read so far
 * @throws UportError UPORT_LAYER_DAMAGED, UPORT_XZ_INVALID
 */
export async function* unpackStream(
  file: string,
  packing: TarPacking,
  range: { readonly start: number; readonly end: number },
  signal: AbortSignal,
  read: (bytes: number) => void = () => undefined,
): AsyncGenerator<Uint8Array> {
  const { start, end } = range;
  if (packing === 'xz') {
    // Its thread reads by itself; as a whole it counts from the beginning.
    read(end - start);
    yield* unxz(file, start, end, signal);
    return;
  }
  if (start >= end) return;
  const input = createReadStream(file, { start, end: end - 1, highWaterMark: 1 << 20, signal });
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      read((chunk as Buffer).length);
      yield chunk as Buffer;
    }
  };
  const decode = layerDecoder(MEDIA_TYPES[packing]);
  if (decode === undefined) throw new TypeError(packing);
  try {
    yield* decode(counted());
  } finally {
    input.destroy();
  }
}

const MEDIA_TYPES = { none: OCI_LAYER_TAR, gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD } as const;
