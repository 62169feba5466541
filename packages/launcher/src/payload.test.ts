// Payloads that do not keep to docs/formats/universal.md: refused with a message, nothing left behind.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, makeBench, type Ran, run, THIS_HOST } from './testing/launch.ts';
import { encodePayload, type Node, pack, singleHost, type Twist } from './testing/payload.ts';
import { exampleApp, launcherBytes, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('payload.test.ts: skipped, there is no launcher for this machine');

describe.skipIf(!THIS_HOST)('a damaged payload', () => {
  let bench: Bench;
  beforeAll(() => {
    bench = makeBench();
  });
  afterAll(() => bench.remove());

  /** Starts a damaged file; the cache must hold nothing but the lock after that. */
  function startOf(twist: Twist, nodes?: readonly Node[]): Ran {
    const app = writeApp(bench, host, exampleApp(host, nodes && { nodes }), 'app', twist);
    const cache = bench.at('app.cache');
    run('rm', ['-rf', cache]);
    const ran = app.start([], { env: { HOME: '', XDG_CACHE_HOME: '', XDG_RUNTIME_DIR: '' } });
    const left = existsSync(cache) ? readdirSync(cache).filter((n) => !n.endsWith('.lock')) : [];
    if (ran.status !== 0) expect(left).toEqual([]);
    return ran;
  }
  const index = (from: string | RegExp, to: string): Twist => ({
    index: (text) => {
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`nothing to replace in ${text}`);
      return changed;
    },
  });
  const footer = (change: (footer: Buffer) => void): Twist => ({ footer: change });

  test('the example itself is sound', () => {
    expect(startOf({})).toMatchObject({ status: 0, stderr: '' });
  });

  const BAD = /its payload is damaged: |: the index of its payload: line \d+: /;

  test.each<[string, Twist]>([
    ['another version', footer((f) => f.writeUInt32LE(2, 8))],
    ['a reserved field in use', footer((f) => f.writeUInt32LE(1, 12))],
    ['another reserved field in use', footer((f) => f.writeUInt32LE(1, 60))],
    ['a payload larger than the file', footer((f) => f.writeBigUInt64LE(1n << 40n, 16))],
    ['a payload smaller than its footer', footer((f) => f.writeBigUInt64LE(95n, 16))],
    ['an index past the end', footer((f) => f.writeBigUInt64LE(1n << 40n, 24))],
    ['an index that wraps around', footer((f) => f.writeBigUInt64LE(0xffffffffffffffffn, 24))],
    ['an index that ends early', footer((f) => f.writeBigUInt64LE(f.readBigUInt64LE(32) - 1n, 32))],
    ['an index of 64 MiB and one', footer((f) => f.writeBigUInt64LE((64n << 20n) + 1n, 40))],
    [
      'an index larger than it says',
      footer((f) => f.writeBigUInt64LE(f.readBigUInt64LE(40) - 1n, 40)),
    ],
    [
      'an index smaller than it says',
      footer((f) => f.writeBigUInt64LE(f.readBigUInt64LE(40) + 1n, 40)),
    ],
    ['another digest of the index', footer((f) => f.writeUInt8(f.readUInt8(64) ^ 1, 64))],

    ['another first line', index('uport-payload 1', 'uport-payload 2')],
    ['no newline at the end', index(/\n$/, '')],
    ['an empty line', index('\ntree', '\n\ntree')],
    ['no app', index(/^app .*\n/m, '')],
    ['two apps', index(/^app/m, 'app x\napp')],
    ['an unknown line', index(/^tree/m, 'forest 1\ntree')],
    ['no tree', index(/^tree .*\n/m, '')],
    ['no program', index(/^program .*\n/gm, '')],
    [
      'a program that is not there',
      index('program foreign bin/foreign', 'program foreign bin/lost'),
    ],
    [
      'a program in no folder',
      index('program foreign bin/foreign', 'program foreign lost/foreign'),
    ],
    ['a tree of no blob', index(/^tree .*$/m, 'tree 2')],
    ['an emulator of no blob', index(/^(emulator \S+ \S+ \S+ \S+ \S+ \S+) 0/m, '$1 99')],
    ['an emulator of another byte order', index(' msb ', ' pdp ')],
    ['a blob past the end', index(/^blob 0 (\d+)/m, 'blob 0 999999')],
    ['a blob at a place past the end', index(/^blob 0/m, 'blob 999999')],
    ['a blob whose end wraps around', index(/^blob 0 \d+/m, 'blob 1 9007199254740991')],
    ['a number that is too large', index(/^blob 0 (\d+) \d+/m, 'blob 0 $1 9007199254740992')],
    ['a number that overflows', index(/^blob 0 (\d+) \d+/m, 'blob 0 $1 18446744073709551617')],
    ['a blob larger than it says', index(/^blob 0 (\d+) \d+/m, 'blob 0 $1 3')],
    ['a blob smaller than it says', index(/^blob 0 (\d+) \d+/m, 'blob 0 $1 999')],
    ['a blob that ends early', index(/^blob 0 (\d)\d*/m, 'blob 0 $1')],
    ['a short digest', index(/^(blob .*)[0-9a-f]$/m, '$1')],
    ['a long digest', index(/^(blob .*)$/m, '$10')],
    ['an upper-case digest', index(/^(blob .* )[0-9a-f]{64}$/m, `$1${'A'.repeat(64)}`)],
    ['a launcher that is not there', index(/^launcher (\d+) ..../m, 'launcher $1 0000')],
    ['a launcher of another size', index(/^launcher \d+/m, 'launcher 12345')],
    ['a launcher larger than the file', index(/^launcher \d+/m, 'launcher 9007199254740991')],
    ['a host without a launcher', index(/^launcher .*\n/m, '')],
    ['an absolute path', index('data/empty', '/data/empty')],
    ['a path upwards', index('data/empty', '../empty')],
    ['a path upwards in the middle', index('data/empty', 'data/../empty')],
    ['a path with a dot', index('data/empty', 'data/./empty')],
    ['a path with an empty part', index('data/empty', 'data//empty')],
    ['a path with a slash at the end', index('data/empty', 'data/empty/')],
    ['an empty path', index('data/empty', '%')],
    ['a path with a NUL', index('data/empty', 'data/%00empty')],
    ['a path named twice', index('data/empty', 'bin/script')],
    ['a folder named twice', index(/^(dir .*)$/m, '$1\n$1')],
    ['a folder that comes too late', index(/^(dir \S+ bin)\n([\s\S]*)/m, '$2$1\n')],
    ['a file in a file', index('data/empty', 'bin/script/empty')],
    ['a file through a symbolic link', index('data/none', 'data/away/none')],
    ['a hard link to nothing', index('link bin/again bin/script', 'link bin/again bin/lost')],
    ['a hard link to a folder', index('link bin/again bin/script', 'link bin/again bin')],
    ['a hard link to a symbolic link', index('link bin/again bin/script', 'link bin/again here')],
    [
      'a hard link out of the tree',
      index('link bin/again bin/script', 'link bin/again data/away/x'),
    ],
    ['a mode of three digits', index('dir 0750', 'dir 750')],
    ['a mode that is not octal', index('dir 0750', 'dir 0780')],
    ['sizes that are too large', index('file 0644 0 data/empty', 'file 0644 1 data/empty')],
    [
      'sizes that wrap around',
      index('file 0644 0 data/empty', 'file 0644 9007199254740991 data/empty'),
    ],
    ['sizes that are too small', index(/^file 0755 5000/m, 'file 0755 4999')],
    ['a native build of no file', index(/^tree/m, 'slice 0 bin/lost\ntree')],
    ['a native build of a folder', index(/^tree/m, 'slice 0 bin\ntree')],
    ['a frame that is none', { frame: (frame) => frame.fill(0x55, 0, 4) }],
    ['a frame that is cut off', { frame: (frame) => frame.subarray(0, frame.length - 3) }],
    [
      'a frame with something after it',
      { frame: (frame) => Buffer.concat([frame, Buffer.alloc(9)]) },
    ],
    [
      'a frame of other bytes',
      { frame: (frame, n) => (n === 0 ? pack(Buffer.alloc(28, 'x')) : frame) },
    ],
    ['no frame', { frame: () => Buffer.alloc(0) }],
  ])('%s', (_, twist) => {
    const ran = startOf(twist);
    expect(ran.stderr).toMatch(BAD);
    expect(ran).toMatchObject({ status: 125, signal: null, stdout: '' });
    expect(ran.stderr.split('\n')).toHaveLength(2);
  });

  test('more lines than 1,048,576', () => {
    const many = index(/\n$/, `\n${'dir 0755 a\n'.repeat(1 << 20)}`);
    expect(startOf(many).stderr).toMatch(BAD);
  });

  test('513 programs', () => {
    expect(
      startOf(index(/^tree .*$/m, `$&${'\nprogram a bin/foreign'.repeat(513)}`)).stderr,
    ).toMatch(/more than 512 programs/);
  });

  test('a file that was cut off anywhere is never started from', () => {
    const whole = singleHost(launcherBytes(host), encodePayload(exampleApp(host)));
    const start = launcherBytes(host).length;
    for (const size of [whole.length - 1, whole.length - 97, start + 10]) {
      const file = bench.program('cut', whole.subarray(0, size));
      const ran = run(file, ['x'], { env: { UPORT_CACHE_DIR: bench.at('cut.cache') } });
      expect(ran.stdout).toBe('');
      expect([125, 126, 127]).toContain(ran.status);
    }
  });

  test('random damage is noticed, or changes nothing', () => {
    const payload = encodePayload(exampleApp(host));
    const launcher = launcherBytes(host);
    const good = startOf({});
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = Buffer.from(payload.bytes);
        for (const [at, bits] of changes) {
          const place = at % bytes.length;
          bytes[place] = (bytes[place] ?? 0) ^ bits;
        }
        const file = bench.at('random');
        writeFileSync(file, Buffer.concat([launcher, bytes]), { mode: 0o755 });
        const ran = run(file, [], { env: { UPORT_CACHE_DIR: bench.at('random.cache') } });
        run('rm', ['-rf', bench.at('random.cache')]);
        expect(ran.signal).toBeNull();
        if (ran.status === 0) {
          expect(ran.stdout.replaceAll('random', 'app')).toBe(good.stdout);
        } else {
          expect(ran.stdout).toBe('');
          expect(ran.stderr).toMatch(/^uport: /);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('random changes of the index are noticed, or make another app', () => {
    const piece = fc.constantFrom(
      '',
      ' ',
      '\n',
      '%',
      '0',
      '9',
      '/',
      '..',
      'dir 0755 a',
      '\0',
      '\xff',
    );
    fc.assert(
      fc.property(fc.nat(), fc.nat(6), piece, (at, gone, put) => {
        const change = (text: string) => {
          const place = at % text.length;
          return text.slice(0, place) + put + text.slice(place + gone);
        };
        const ran = startOf({ index: change });
        expect(ran.signal).toBeNull();
        if (ran.status === 125) expect(ran.stderr).toMatch(/^uport: /);
      }),
      { numRuns: 100 },
    );
  });
});
