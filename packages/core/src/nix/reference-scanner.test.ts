import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReferenceScanner } from './reference-scanner.ts';

const A = '0123456789abcdfghijklmnpqrsvwxyz';
const B = 'zyxwvsrqpnmlkjihgfdcba9876543210';

test('finds hash parts wherever the pieces are cut', () => {
  const text = Buffer.from(`x${A}${B}/bin e${B}\0${A.slice(1)}`);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 12 }), (cuts) => {
      const places: [string, number][] = [];
      const scanner = new ReferenceScanner(new Set([A, B]), (...seen) => places.push(seen));
      let from = 0;
      for (const to of [...cuts.sort((a, b) => a - b), text.length]) {
        scanner.add(text.subarray(from, to));
        from = to;
      }
      expect([...scanner.found].sort()).toEqual([A, B]);
      expect(places.sort((a, b) => a[1] - b[1])).toEqual([
        [A, 1],
        [B, 33],
        [B, 71],
      ]);
    }),
  );
});

test('finds none that is not known, shorter, or cut by the end of a file', () => {
  const scanner = new ReferenceScanner(new Set([A]));
  scanner.add(Buffer.from(B));
  scanner.add(Buffer.from(A.slice(0, 20)));
  scanner.startFile();
  scanner.add(Buffer.from(A.slice(20)));
  expect([...scanner.found]).toEqual([]);
});
