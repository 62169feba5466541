import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { DEFAULT_HOSTS, parseArch } from '../model/arch.ts';
import { x86Probe } from './probe.ts';
import { chosenTranslators, parseEmulatorChoice } from './rules.ts';

const x86 = parseArch('x86_64');
const hosts = DEFAULT_HOSTS.filter((host) => host !== x86);
const chosen = (specs: readonly string[], guest = x86, on = hosts) =>
  [...chosenTranslators(specs.map(parseEmulatorChoice), guest, on)].map(([host, rule]) => {
    return `${host} ${rule.kind}`;
  });

test('a choice counts for the hosts that have it, the last one for each', () => {
  expect(chosen([])).toEqual([]);
  expect(chosen(['box64'])).toEqual(['aarch64 box64', 'riscv64 box64']);
  expect(chosen(['arm64=box64'])).toEqual(['aarch64 box64']);
  expect(chosen(['box64', 'arm64=qemu'])).toEqual(['riscv64 box64']);
  expect(chosen(['box64', 'qemu'])).toEqual([]);
});

test.each([
  ['another host', ['s390x=box64'], x86, hosts],
  ['a host that is not built', ['loong64=box64'], x86, hosts],
  ['another guest', ['box64'], parseArch('riscv64'), hosts],
  ['no host', ['box64'], x86, []],
])('%s is refused with what there is', (_, specs, guest, on) => {
  expect(() => chosen(specs, guest, on)).toThrow(
    expect.objectContaining({
      code: 'UPORT_EMULATOR_PAIR',
      hint: expect.stringContaining('x86_64 on aarch64, riscv64, loongarch64'),
    }),
  );
});

test.each(['', 'box86', 'box64=arm64', 'arm64=', 'arm64=box64 '])('%j names none', (spec) => {
  expect(() => parseEmulatorChoice(spec)).toThrow(
    expect.objectContaining({ code: 'UPORT_EMULATOR_UNKNOWN' }),
  );
});

const runs = process.arch === 'x64' || spawnSync('qemu-x86_64-static', ['--version']).status === 0;
test.skipIf(!runs)(
  `the program of a trial ends well${runs ? '' : ' (missing: apt-get install qemu-user-static)'}`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'uport-probe-'));
    try {
      const file = path.join(folder, 'probe');
      writeFileSync(file, x86Probe(), { mode: 0o755 });
      const [command, args] = process.arch === 'x64' ? [file, []] : ['qemu-x86_64-static', [file]];
      expect(spawnSync(command as string, args as string[]).status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
