import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyRelocations, FIXED_BASE } from './apply-relocations.ts';

/** Pointers in data, thread-local data, functions chosen at start: what relocations are for. */
const SOURCE = `
#include <stdio.h>
#include <string.h>
static const char *const words[] = {"one", "two", "three"};
static int (*const printers[])(const char *) = {puts, puts, puts};
static __thread int counter = 40;
int main(int argc, char **argv) {
  for (unsigned i = 0; i < 3; i++) printers[i](words[i]);
  printf("%zu %d %p\\n", strlen(argv[0]) > 0 ? strlen("words") : 0, ++counter, (void *)&words);
  return 7;
}
`;

let folder: string;
let program: Buffer | undefined;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-relocations-'));
  writeFileSync(path.join(folder, 'source.c'), SOURCE);
  try {
    const files = ['-o', path.join(folder, 'program'), path.join(folder, 'source.c')];
    execFileSync('gcc', ['-O1', '-static-pie', ...files], { stdio: 'ignore' });
    program = readFileSync(path.join(folder, 'program'));
  } catch {
    console.warn(
      'apply-relocations.test.ts: not run in part, it needs: apt-get install gcc libc6-dev',
    );
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(bytes: Uint8Array) {
  const file = path.join(folder, 'run');
  writeFileSync(file, bytes, { mode: 0o755 });
  const { status, stdout } = spawnSync(file, { encoding: 'utf8' });
  return { status, stdout };
}

describe('a static-pie program of this machine', () => {
  test('runs at a fixed address, with no relative relocation left', (context) => {
    if (program === undefined) return context.skip();
    const bytes = Buffer.from(program);
    // Which of the two it is depends on the C library here; the other one must not be taken for right.
    const sources = (['own-place', 'headers'] as const).filter((source) => {
      bytes.set(program as Buffer);
      expect(applyRelocations(bytes, source)).toBe(true);
      return run(bytes).status === 7;
    });
    expect(sources).toHaveLength(1);
    bytes.set(program);
    applyRelocations(bytes, sources[0] as 'headers');
    expect(bytes.length).toBe(program.length);
    expect(bytes.readUInt16LE(16)).toBe(2);
    const place = /5 41 (0x[0-9a-f]+)/.exec(run(bytes).stdout)?.[1] ?? '0';
    expect(BigInt(place) - FIXED_BASE).toBeGreaterThan(0n);
    expect(BigInt(place) - FIXED_BASE).toBeLessThan(BigInt(program.length) * 2n);
    expect(run(bytes).stdout.split('\n').slice(0, 3)).toEqual(['one', 'two', 'three']);
    // What has a fixed address already is left alone.
    expect(applyRelocations(Buffer.from(bytes), 'headers')).toBe(false);
  });

  test('is done or refused however its headers are damaged', (context) => {
    if (program === undefined) return context.skip();
    const whole = program;
    const change = fc.tuple(fc.integer({ min: 0, max: 1023 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        expect(typeof applyRelocations(bytes, 'headers')).toBe('boolean');
        expect(typeof applyRelocations(bytes.subarray(0, 5000), 'own-place')).toBe('boolean');
      }),
      { numRuns: 300 },
    );
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['text', Buffer.from('#!/bin/sh\nexit 0\n'.repeat(10))],
  ['the beginning of an ELF file', Buffer.from('\x7fELF\x02\x01\x01'.padEnd(64, '\0'), 'latin1')],
])('%s is refused', (_, bytes) => {
  expect(applyRelocations(bytes, 'headers')).toBe(false);
});
