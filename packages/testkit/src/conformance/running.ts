import assert from 'node:assert/strict';
import { parseArch } from '@uport/core';
import { parseArguments } from '../fixtures/arguments-dump.ts';
import type { CommandResult } from '../kernels/reports.ts';

/** What is known of an artifact of the `probe` fixture before it runs. */
export interface ProbeArtifact {
  /** uport's name of the CPU that it was compiled for. */
  readonly guest: string;
  /** What its argv[0] must be. */
  readonly argv0: string;
  /** The environment it must see, in any order; undefined where the starter adds to it. */
  readonly env?: readonly string[];
}

/**
 * One start of an artifact that holds the `probe` fixture, and what must come of it. The cases are
 * data, so that many of them can go into one start of a simulated host.
 */
export interface RunningCase {
  readonly name: string;
  /** Bytes as Latin-1. */
  readonly args: readonly string[];
  readonly stdin?: Uint8Array;
  /** @throws AssertionError */
  check(result: CommandResult, artifact: ProbeArtifact): void;
}

/** Arguments that programs in between like to spoil. */
export const AWKWARD_ARGUMENTS: readonly string[] = Object.freeze([
  '',
  'a b  c',
  'line\nfeed\r\n',
  '\ttab',
  '--',
  '-0',
  '"\'`$(id)\\',
  '*',
  'sm\xc3\xb6rg\xc3\xa5s',
  '',
]);

/** Bytes that are no UTF-8; some starters can't carry them at all. */
export const NON_UTF8_ARGUMENTS: readonly string[] = Object.freeze(['\xff\xfe', 'a\x80b', '\xc3']);

function ends(result: CommandResult, status: number, stdout: string): void {
  assert.equal(result.stderr.toString('latin1'), '');
  assert.equal(result.stdout.toString('latin1'), stdout);
  assert.equal(result.status, status);
}

function argumentsCase(name: string, args: readonly string[]): RunningCase {
  return {
    name,
    args: ['arguments', ...args],
    check(result, artifact) {
      const { argv, env } = parseArguments(result.stdout);
      assert.deepEqual(argv, [artifact.argv0, 'arguments', ...args]);
      assert.deepEqual(
        env.filter((each) => /^(?:UPORT|QEMU|LD)_/.test(each)),
        [],
      );
      if (artifact.env) assert.deepEqual([...env].sort(), [...artifact.env].sort());
      assert.equal(result.stderr.toString('latin1'), '');
      assert.equal(result.status, 0);
    },
  };
}

/** What every artifact must do, whatever emitter made it and whatever host it runs on. */
export const RUNNING_CASES: readonly RunningCase[] = Object.freeze([
  {
    name: 'output',
    args: [],
    check(result, { guest }) {
      const { elf } = parseArch(guest);
      ends(result, 0, `hello from a ${elf.bits}-bit ${elf.order} program\n`);
    },
  },
  argumentsCase('arguments and environment', AWKWARD_ARGUMENTS),
  argumentsCase('arguments that are no UTF-8', NON_UTF8_ARGUMENTS),
  {
    name: 'exit status 0',
    args: ['status', '0'],
    check: (result) => ends(result, 0, ''),
  },
  {
    name: 'exit status 3',
    args: ['status', '3'],
    check: (result) => ends(result, 3, ''),
  },
  {
    name: 'exit status 255',
    args: ['status', '255'],
    check: (result) => ends(result, 255, ''),
  },
  {
    name: 'death by SIGSEGV is status 139',
    args: ['crash'],
    check(result) {
      assert.equal(result.stdout.toString('latin1'), '');
      assert.equal(result.status, 139);
    },
  },
  {
    name: 'standard input and output',
    args: ['copy'],
    stdin: Uint8Array.from({ length: 5000 }, (_, index) => (index * 7) % 256),
    check(result) {
      assert.equal(Buffer.compare(result.stdout, this.stdin as Uint8Array), 0);
      assert.equal(result.stderr.toString(), '5000 bytes\n');
      assert.equal(result.status, 0);
    },
  },
] satisfies RunningCase[]);
