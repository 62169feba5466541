import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { samplePlan } from '../oci/testing/sample-plan.ts';
import {
  compareLocks,
  describeChange,
  EMPTY_LOCK,
  encodeLock,
  type Lock,
  lockOfPlan,
  mergeLocks,
  parseLock,
} from './lock.ts';

const digest = (mark: number) => sha256Digest(mark.toString(16).padStart(64, '0'));
const pin = fc.record({
  digest: fc.nat(1000).map(digest),
  size: fc.maxSafeNat(),
});
const text = fc.stringMatching(/^[!-~]{1,30}$/);
const poolPath = fc.stringMatching(/^[a-z0-9+_.~-]{1,20}$/).map((name) => `pool/main/${name}x`);
const origin = fc.oneof(
  fc.record({ provider: fc.constant('dir' as const), file: text }),
  fc.record({
    provider: fc.constant('nix' as const),
    storePath: text,
    narHash: text,
    file: text,
  }),
  fc.record({
    provider: fc.constant('debian' as const),
    suite: text,
    package: text,
    packageVersion: text,
    sourcePackage: text,
    sourceVersion: text,
    packagePath: poolPath,
    packageDigest: fc.nat(1000).map(digest),
    packageSize: fc.maxSafeNat(),
  }),
);
const map = <T>(value: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(text, value), { maxLength: 5 }).map((entries) => new Map(entries));
const packages = map(
  fc
    .tuple(
      pin,
      fc.record({
        version: text,
        suite: text,
        sourcePackage: text,
        sourceVersion: text,
        path: poolPath,
      }),
    )
    .map(([file, rest]) => ({ ...file, ...rest })),
);
const lock: fc.Arbitrary<Lock> = fc.record({
  version: fc.constant(1 as const),
  launchers: map(pin),
  images: map(fc.tuple(pin, text).map(([file, source]) => ({ ...file, source }))),
  emulators: map(
    fc
      .tuple(
        pin,
        fc.record(
          {
            kind: fc.constant('qemu' as const),
            version: text,
            origin,
            preparedFrom: fc.nat(1000).map(digest),
          },
          { requiredKeys: ['kind', 'version', 'origin'] },
        ),
      )
      .map(([file, rest]) => ({ ...file, ...rest })),
  ),
  translators: map(
    fc
      .tuple(
        pin,
        fc.record({
          kind: fc.constant('box64' as const),
          version: text,
          loader: text,
          files: fc.array(
            fc
              .tuple(pin, fc.stringMatching(/^[!-.0-~]{3,20}$/))
              .map(([file, name]) => ({ name, ...file })),
            { maxLength: 3 },
          ),
          packages: fc.array(
            fc
              .tuple(
                pin,
                fc.record({
                  name: text,
                  version: text,
                  architecture: text,
                  suite: text,
                  sourcePackage: text,
                  sourceVersion: text,
                  path: poolPath,
                }),
              )
              .map(([file, rest]) => ({ ...rest, ...file })),
            { maxLength: 3 },
          ),
        }),
      )
      .map(([file, rest]) => ({ ...file, ...rest })),
  ),
  packages: map(packages),
});

test('every lock survives, whatever the order of its entries', () => {
  fc.assert(
    fc.property(lock, (value) => {
      const written = encodeLock(value);
      expect(compareLocks(value, parseLock(written))).toEqual([]);
      expect(encodeLock(parseLock(written))).toBe(written);
      const reversed = { ...value, emulators: new Map([...value.emulators].reverse()) };
      expect(encodeLock(reversed)).toBe(written);
    }),
  );
});

test('a plan’s lock names emulators and launchers; a later one tells the differences', async () => {
  const { plan } = await samplePlan();
  const before = lockOfPlan(plan, 'hello', ['debian']);
  expect([...before.emulators.keys()]).toContain('riscv64 on x86_64 from debian');
  expect([...before.launchers.keys()]).toEqual(['x86_64', 'aarch64', 'ppc64le', 's390x']);
  const emulators = new Map(before.emulators);
  const key = 'riscv64 on s390x from debian';
  const old = emulators.get(key);
  if (old) emulators.set(key, { ...old, version: '11.2.0', digest: digest(7) });
  emulators.delete('riscv64 on aarch64 from debian');
  const changes = compareLocks(before, { ...before, emulators });
  expect(changes.map(describeChange)).toEqual([
    expect.stringMatching(/^the emulator of riscv64 for aarch64: no longer needed, was 11\.1\.2 /),
    `the emulator of riscv64 for s390x: 11.1.2 (${old?.digest}) → 11.2.0 (${digest(7)})`,
  ]);
  expect(compareLocks(mergeLocks([before, EMPTY_LOCK]), before)).toEqual([]);
});

const good = JSON.parse(
  encodeLock({
    ...EMPTY_LOCK,
    launchers: new Map([['x86_64', { digest: digest(1), size: 1 }]]),
    emulators: new Map([
      [
        'a on b from debian',
        {
          kind: 'qemu',
          version: '1',
          digest: digest(1),
          size: 1,
          origin: { provider: 'dir', file: 'qemu-a' },
        },
      ],
    ]),
    translators: new Map(),
    packages: new Map([
      [
        'app',
        new Map([
          [
            'libc6:arm64',
            {
              version: '1',
              suite: 'sid',
              sourcePackage: 'glibc',
              sourceVersion: '1',
              path: 'pool/main/g/x.deb',
              digest: digest(1),
              size: 1,
            },
          ],
        ]),
      ],
    ]),
  }),
);

test.each<[string, (value: typeof good) => unknown]>([
  ['another version', (value) => ({ ...value, version: 2 })],
  ['a list', () => []],
  ['launchers that are a text', (value) => ({ ...value, launchers: 'x' })],
  ['no digest', (value) => ({ ...value, launchers: { a: { size: 1 } } })],
  ['a short digest', (value) => ({ ...value, launchers: { a: { size: 1, digest: 'sha256:0' } } })],
  ['half a size', (value) => ({ ...value, launchers: { a: { size: 0.5, digest: digest(1) } } })],
  ['a path that leads out', (value) => withPath(value, 'pool/../../etc/passwd')],
  ['a path that is an address', (value) => withPath(value, 'http://example.org/pool/x')],
  ['a path with an empty part', (value) => withPath(value, 'pool//x')],
])('refused: %s', (_what, change) => {
  expect(() => parseLock(JSON.stringify(change(structuredClone(good))))).toThrow(
    expect.objectContaining({ code: 'UPORT_LOCK_INVALID' }),
  );
});

test('refused: no JSON, merge conflicts, too much', () => {
  for (const bad of ['', '{', '<<<<<<< HEAD\n{}', ' '.repeat((16 << 20) + 1)]) {
    expect(() => parseLock(bad)).toThrow(expect.objectContaining({ code: 'UPORT_LOCK_INVALID' }));
  }
  expect(() => parseLock('{\n<<<<<<< ours\n')).toThrow(/merge conflicts/);
});

function withPath(value: typeof good, path: string): unknown {
  value.packages.app['libc6:arm64'].path = path;
  return value;
}
