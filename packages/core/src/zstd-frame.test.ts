import { setTimeout as after } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { zstdFrames } from './oci/zstd-frames.ts';
import { byteReader } from './tar/byte-reader.ts';
import { singleZstdFrame, zstdFrame } from './zstd-frame.ts';

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function frameCount(bytes: Buffer): Promise<number> {
  let count = 0;
  for await (const frame of zstdFrames(byteReader(once(bytes)))) {
    await joined(frame);
    count++;
  }
  return count;
}

const text = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) >> 7));

function* cut(bytes: Buffer, sizes: readonly number[]) {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

// The last bytes come while those before are being compressed, and the end with them.
test.each([
  [[]],
  [[299_999]],
  [[299_900, 96]],
  [[10, 10, 10]],
  [[262_144, 37_850, 2]],
  [[131_072, 131_072]],
])('one frame of chunks that end at %j, always the same bytes', async (sizes) => {
  const options = { level: 1, size: text.length };
  const frame = await joined(zstdFrame(cut(text, sizes), options));
  expect(await frameCount(frame)).toBe(1);
  expect(zstdDecompressSync(frame).equals(text)).toBe(true);
  const slowly = async function* () {
    for (const chunk of cut(text, [100_000, 1])) {
      yield chunk;
      await after(1);
    }
  };
  expect((await joined(zstdFrame(slowly(), options))).equals(frame)).toBe(true);
});

test('one frame of two small files', async () => {
  const frame = await joined(
    zstdFrame([Buffer.from('a'), Buffer.from('b')], { level: 19, size: 2 }),
  );
  expect(await frameCount(frame)).toBe(1);
});

test('one frame when it fills the chunks of the compressor exactly', async () => {
  // Stored blocks: the size of the frame follows from the size of the content.
  const noise = Buffer.alloc(1 << 18);
  for (let i = 0, x = 1; i < noise.length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    noise[i] = x >>> 16;
  }
  let filled = 0;
  for (let size = (1 << 18) - 40; size <= 1 << 18; size++) {
    const frame = await joined(zstdFrame([noise.subarray(0, size)], { level: 1, size }));
    if (frame.length === 1 << 18) filled++;
    expect(await frameCount(frame)).toBe(1);
  }
  expect(filled).toBeGreaterThan(0);
});

test('no bytes are a frame too', async () => {
  const frame = await joined(zstdFrame([], { level: 19, size: 0 }));
  expect(await frameCount(frame)).toBe(1);
  expect(zstdDecompressSync(frame)).toHaveLength(0);
});

test('a fault of the source comes through; wrong sizes are refused', async () => {
  const failing = async function* () {
    yield Buffer.from('a');
    throw new Error('the disk is gone');
  };
  await expect(joined(zstdFrame(failing(), { level: 1, size: 2 }))).rejects.toThrow('disk is gone');
  await expect(joined(zstdFrame([text], { level: 1, size: 3 }))).rejects.toThrow();
});

test('who stops reading stops the source', async () => {
  let ended = false;
  const endless = async function* () {
    try {
      while (true) yield text;
    } finally {
      ended = true;
    }
  };
  for await (const _ of zstdFrame(endless(), { level: 1, size: 2 ** 40 })) break;
  expect(ended).toBe(true);
});

test('what must be one frame is refused with a second, an empty one too', async () => {
  const one = await joined(zstdFrame([text], { level: 1, size: text.length }));
  const empty = await joined(zstdFrame([], { level: 1, size: 0 }));
  expect((await joined(singleZstdFrame(once(one)))).equals(one)).toBe(true);
  await expect(joined(singleZstdFrame(once(Buffer.concat([one, empty]))))).rejects.toThrow('more');
  await expect(joined(singleZstdFrame(once(one.subarray(0, -1))))).rejects.toThrow();
});
