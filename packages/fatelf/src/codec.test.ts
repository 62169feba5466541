import { createHash } from 'node:crypto';
import { GUESTS } from '@uport/elf/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  HEADER_SIZE,
  pageSizeOf,
  RECORD_SIZE,
  readHeader,
  readRecord,
  SMALLEST_PAGE,
  writeHeader,
  writeRecord,
} from './index.ts';
import { glued, program } from './testing/bytes.ts';

const byte = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('the header lies as the specification says', () => {
  expect(hex(writeHeader({ magic: 0x1f0e70fa, version: 1, count: 3, reserved: 0 }))).toBe(
    'fa700e1f01000300',
  );
});

test('a record lies as the specification says', () => {
  const record = {
    machine: 0x9026,
    osabi: 3,
    osabiVersion: 7,
    elfClass: 2,
    data: 1,
    reserved: 0,
    offset: 0x1122334455667000n,
    size: 0x8899aabbccddeeffn,
  };
  expect(hex(writeRecord(record))).toBe(
    '2690030702010000' + '0070665544332211' + 'ffeeddccbbaa9988',
  );
});

test('every header is read back', () => {
  fc.assert(
    fc.property(fc.record({ magic: u32, version: u16, count: byte, reserved: byte }), (header) => {
      const bytes = writeHeader(header);
      expect(bytes.length).toBe(HEADER_SIZE);
      expect(readHeader(bytes)).toEqual(header);
    }),
  );
});

test('every record is read back, wherever it lies in memory', () => {
  const record = fc.record({
    machine: u16,
    osabi: byte,
    osabiVersion: byte,
    elfClass: byte,
    data: byte,
    reserved: u16,
    offset: u64,
    size: u64,
  });
  fc.assert(
    fc.property(record, fc.nat({ max: 9 }), (given, shift) => {
      const bytes = writeRecord(given);
      expect(bytes.length).toBe(RECORD_SIZE);
      const within = new Uint8Array(shift + RECORD_SIZE);
      within.set(bytes, shift);
      expect(readRecord(within.subarray(shift))).toEqual(given);
    }),
  );
});

test.each(GUESTS)('$name has a page size', ({ machine }) => {
  const size = pageSizeOf(machine);
  expect(size % SMALLEST_PAGE).toBe(0);
  expect(Math.log2(size) % 1).toBe(0);
});

test('the bytes of a container stay the same', async () => {
  const all = await glued(GUESTS.map((guest, index) => program(guest, index)).filter(unique()));
  const digest = createHash('sha256').update(all).digest('hex');
  expect(digest).toBe('299756a958b7c2fafd9ff73421a5546f3e9c75d2e58f273567455055504aedd3');
});

/** o32 and n32 programs differ in e_flags only, which FatELF does not record: the first stays. */
function unique(): (bytes: Uint8Array) => boolean {
  const seen = new Set<string>();
  return (bytes) => {
    const key = `${hex(bytes.subarray(4, 9))}${hex(bytes.subarray(18, 20))}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  };
}
