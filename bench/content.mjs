// Makes a folder like a large app's: machine code, text and compressed data, the same every time.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** A small generator (xorshift32) whose numbers are the same everywhere. */
function random(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Fills a buffer from a set of phrases, the early ones far more often, with noise between. */
function phrases(next, pool, noiseEvery) {
  return (buffer) => {
    let at = 0;
    while (at < buffer.length) {
      const rank = Math.floor(pool.length * (next() / 2 ** 32) ** 3);
      at += pool[rank].copy(buffer, at);
      if (at < buffer.length && next() % noiseEvery === 0) buffer[at++] = next() & 0xff;
    }
  };
}

function noise(next) {
  return (buffer) => {
    let at = 0;
    for (; at + 4 <= buffer.length; at += 4) buffer.writeUInt32LE(next(), at);
    for (; at < buffer.length; at++) buffer[at] = next() & 0xff;
  };
}

function pool(next, count, bytes, longest) {
  return Array.from({ length: count }, () => {
    const phrase = Buffer.alloc(2 + (next() % longest));
    for (let i = 0; i < phrase.length; i++) phrase[i] = bytes(next);
    return phrase;
  });
}

/**
 * Writes `files` files of `total` bytes: 45 % like machine code, 30 % like text, 25 % like data that
 * is compressed already. Sizes are spread from a few bytes to some megabytes.
 */
export function writeContent(folder, { files, total }) {
  const next = random(20240229);
  const letter = (n) => 97 + ((n() % 26) * (n() % 26)) / 26;
  const kinds = [
    [
      'code',
      45,
      phrases(
        next,
        pool(next, 6000, (n) => n() & n() & 0xff, 14),
        9,
      ),
    ],
    [
      'text',
      30,
      phrases(
        next,
        pool(next, 9000, (n) => (n() % 6 ? letter(n) : 32), 14),
        90,
      ),
    ],
    ['packed', 100, noise(next)],
  ];
  // Most files are small, a few hold most of the bytes.
  const weights = Array.from({ length: files }, () => (next() / 2 ** 32) ** 40 + 0.0005);
  const sum = weights.reduce((a, b) => a + b, 0);
  let bytes = 0;
  for (const [i, weight] of weights.entries()) {
    const share = next() % 100;
    const [kind, , fill] = kinds.find(([, upTo]) => share < upTo);
    const buffer = Buffer.alloc(Math.round((weight / sum) * total));
    fill(buffer);
    const dir = path.join(folder, kind, String(i % 50));
    mkdirSync(dir, { recursive: true });
    writeFileSync(path.join(dir, `${i}`), buffer);
    bytes += buffer.length;
  }
  return bytes;
}

/** A static x86-64 program that ends with status 0. */
export function tinyProgram() {
  const code = Buffer.from([0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
  const elf = Buffer.alloc(120 + code.length);
  elf.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(62, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(0x400078n, 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64);
  elf.writeUInt32LE(5, 68);
  elf.writeBigUInt64LE(0x400000n, 80);
  elf.writeBigUInt64LE(0x400000n, 88);
  elf.writeBigUInt64LE(BigInt(elf.length), 96);
  elf.writeBigUInt64LE(BigInt(elf.length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  code.copy(elf, 120);
  return elf;
}
