import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareDebianVersions, upstreamVersion } from './version.ts';

const hasDpkg = spawnSync('dpkg', ['--version']).status === 0;

describe('compareDebianVersions', () => {
  test.each([
    ['2.0', '1:1.0'],
    ['1.0', '1.0+b1'],
    ['1.0~rc1', '1.0'],
    ['1.0~~', '1.0~'],
    ['1.9', '1.10'],
    ['1.0-1', '1.0-1.1'],
    ['1:10.0.2+ds-2+deb13u1~bpo12+1', '1:10.0.2+ds-2+deb13u1'],
    ['1:7.2+dfsg-7+deb12u18', '1:7.2+dfsg-7+deb12u18+b3'],
    ['1.0a', '1.0+'],
  ])('%s comes before %s', (older, newer) => {
    expect(compareDebianVersions(older, newer)).toBeLessThan(0);
    expect(compareDebianVersions(newer, older)).toBeGreaterThan(0);
  });

  test('numbers are compared whatever their length, zeros before them left out', () => {
    expect(compareDebianVersions('1.00', '1.0')).toBe(0);
    expect(compareDebianVersions('1.99999999999999999998', '1.99999999999999999999')).toBeLessThan(
      0,
    );
  });

  test.skipIf(!hasDpkg)('agrees with dpkg (needs it: apt-get install dpkg)', () => {
    const part = fc.string({
      unit: fc.constantFrom('0', '1', '9', 'a', 'Z', '.', '+', '~'),
      maxLength: 6,
    });
    const version = fc
      .tuple(fc.constantFrom('', '1:', '2:'), part, fc.constantFrom('', '-1', '-1~a', '-0'))
      .map(([epoch, upstream, revision]) => `${epoch}1${upstream}${revision}`);
    fc.assert(
      fc.property(version, version, (a, b) => {
        const order = Math.sign(compareDebianVersions(a, b));
        const relation = order < 0 ? 'lt' : order > 0 ? 'gt' : 'eq';
        expect(spawnSync('dpkg', ['--compare-versions', a, relation, b]).status).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

test.each([
  ['1:11.1.3+ds-1', '11.1.3'],
  ['1:7.2+dfsg-7+deb12u18+b3', '7.2'],
  ['10.0.2~rc1+ds-2', '10.0.2~rc1'],
  ['6.1.2', '6.1.2'],
])('upstreamVersion(%s) is %s', (version, upstream) => {
  expect(upstreamVersion(version)).toBe(upstream);
});
