import { type ByteSource, bytesSource } from '@uport/elf';
import { buildElf, type GuestFormat } from '@uport/elf/testing';
import { glueFatElf } from '../glue.ts';
import type { ByteStream } from '../stream.ts';

export async function collect(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.chunks()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== stream.size) throw new Error(`${bytes.length} bytes, said ${stream.size}`);
  return Uint8Array.from(bytes);
}

/** A small program of a guest whose bytes depend on `seed`. */
export function program(guest: Omit<GuestFormat, 'name'>, seed = 0): Uint8Array {
  const body = Uint8Array.from({ length: 100 + (seed % 97) }, (_, index) => (seed + index) & 0xff);
  return buildElf({ ...guest, body });
}

export async function glued(
  programs: readonly Uint8Array[],
  trailing?: Uint8Array,
): Promise<Uint8Array> {
  const inputs = programs.map((bytes) => ({ source: bytesSource(bytes) }));
  return collect(
    await glueFatElf(inputs, trailing === undefined ? {} : { trailing: bytesSource(trailing) }),
  );
}

/** A source of any size with these bytes at these places and zeros elsewhere. */
export function sparseSource(
  size: number,
  parts: readonly (readonly [offset: number, bytes: Uint8Array])[],
): ByteSource {
  return {
    size,
    read: async (offset, length) => {
      const out = new Uint8Array(Math.min(length, size - offset));
      for (const [start, bytes] of parts) {
        const from = Math.max(start, offset);
        const to = Math.min(start + bytes.length, offset + out.length);
        if (from < to) out.set(bytes.subarray(from - start, to - start), from - offset);
      }
      return out;
    },
  };
}
