import { bytesSource } from '@uport/elf';
import { GUESTS, type GuestFormat } from '@uport/elf/testing';
import { expect, test } from 'vitest';
import { glueFatElf, readFatElf, removeFatElf } from './index.ts';
import { program, sparseSource } from './testing/bytes.ts';

const GIB = 2 ** 30;
const guest = (name: string) => GUESTS.find((known) => known.name === name) as GuestFormat;

test('slices beyond 4 GiB pass in flat memory', async () => {
  const small = program(guest('s390x'), 1);
  const big = program(guest('x86_64'), 2);
  const image = await glueFatElf([
    { source: sparseSource(4 * GIB + 5, [[0, big]]) },
    { source: bytesSource(small) },
  ]);
  expect(image.records[1]?.offset).toBe(4 * GIB + 8192);
  expect(image.size).toBe(4 * GIB + 8192 + small.length);

  let size = 0;
  let largest = 0;
  let peak = 0;
  const tail: Uint8Array[] = [];
  for await (const chunk of image.chunks()) {
    size += chunk.length;
    largest = Math.max(largest, chunk.length);
    if (size % (256 * 1024 * 1024) < chunk.length) peak = Math.max(peak, process.memoryUsage().rss);
    if (size > image.size - 4096) tail.push(chunk);
  }
  expect(size).toBe(image.size);
  expect(largest).toBeLessThanOrEqual(1024 * 1024);
  expect(peak).toBeLessThan(GIB / 2);
  expect(Uint8Array.from(Buffer.concat(tail)).slice(-small.length)).toEqual(small);
}, 120_000);

test('a record beyond 4 GiB is read, and the edit brings it back down', async () => {
  const small = program(guest('s390x'), 1);
  const big = program(guest('x86_64'), 2);
  const image = await glueFatElf([
    { source: sparseSource(5 * GIB, [[0, big]]) },
    { source: bytesSource(small) },
  ]);
  const head: Uint8Array[] = [];
  for await (const chunk of image.chunks()) {
    head.push(chunk);
    if (head.length === 2) break;
  }
  const container = sparseSource(image.size, [
    [0, Uint8Array.from(Buffer.concat(head))],
    [4096, big],
    [image.records[1]?.offset ?? 0, small],
  ]);
  const { records } = await readFatElf(container);
  expect(records).toEqual(image.records);
  const without = await removeFatElf(container, 'x86_64');
  expect(without.records[0]?.offset).toBe(4096);
  expect(without.size).toBe(4096 + small.length);
});
