import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { LAUNCHER_HOSTS, launcherFor } from './launcher.ts';

const MACHINES: Record<string, readonly [machine: number, bits: number]> = {
  x86_64: [62, 64],
  aarch64: [183, 64],
  riscv64: [243, 64],
  ppc64le: [21, 64],
  s390x: [22, 64],
  loongarch64: [258, 64],
  arm: [40, 32],
  i386: [3, 32],
};

test.each(LAUNCHER_HOSTS)('%s: a small static program of that CPU, as SHA256SUMS says', (host) => {
  const launcher = launcherFor(host);
  if (!launcher) throw new Error('no launcher');
  const bytes = readFileSync(launcher.path);
  expect(launcher.size).toBe(bytes.length);
  expect(launcher.size).toBeLessThan(200 * 1024);
  expect(statSync(launcher.path).mode & 0o777).toBe(0o755);

  const wide = bytes[4] === 2;
  const big = bytes[5] === 2;
  const u16 = (at: number) => (big ? bytes.readUInt16BE(at) : bytes.readUInt16LE(at));
  const u32 = (at: number) => (big ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  expect([u16(18), wide ? 64 : 32]).toEqual(MACHINES[host]);
  // No program header asks for a loader (PT_INTERP is 3) or describes one (PT_DYNAMIC is 2).
  const table = wide ? (big ? u32(36) : u32(32)) : u32(28);
  const types = Array.from({ length: u16(wide ? 56 : 44) }, (_, i) =>
    u32(table + i * u16(wide ? 54 : 42)),
  );
  expect(types).toContain(1);
  expect(types).not.toContain(2);
  expect(types).not.toContain(3);
});

test('LAUNCHER_HOSTS is what is prebuilt', () => {
  const prebuilt = dirname(dirname(launcherFor('x86_64')?.path ?? ''));
  const folders = readdirSync(prebuilt).filter((name) => name !== 'SHA256SUMS');
  expect(folders.sort()).toEqual([...LAUNCHER_HOSTS].sort());
  const listed = readFileSync(`${prebuilt}/SHA256SUMS`, 'latin1').match(
    /[a-z0-9_]+(?=\/launch$)/gm,
  );
  expect(listed?.sort()).toEqual([...LAUNCHER_HOSTS].sort());
});

test('no launcher for a CPU that only QEMU guests have', () => {
  expect(launcherFor('m68k')).toBeUndefined();
  expect(launcherFor('../x86_64')).toBeUndefined();
});
