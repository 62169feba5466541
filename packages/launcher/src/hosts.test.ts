// Each host's launcher under that host's user-mode QEMU. What it starts goes to this machine's own
// kernel, so its "emulators" are scripts here; real kernels of each host are testkit's matter.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LAUNCHER_HOSTS, launcherFor } from './launcher.ts';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  quote,
  run,
  runShell,
  SHOW_ARGUMENTS,
  THIS_HOST,
  works,
} from './testing/launch.ts';
import { exampleApp, writeApp } from './testing/universal.ts';

/** The emulator to run a host's launcher with, or why there is none. */
function emulatorOf(host: string): { readonly path: string } | { readonly missing: string } {
  const path = [`/usr/bin/qemu-${host}-static`, `/usr/bin/qemu-${host}`].find(existsSync);
  if (!path) return { missing: 'apt-get install qemu-user-static' };
  const version = /version (\d+)\.(\d+)/.exec(run(path, ['-version']).stdout);
  const at = Number(version?.[1]) * 100 + Number(version?.[2]);
  // Debian's loong64 baseline has vectors (LSX), which QEMU knows since 8.1.
  if (host === 'loongarch64' && !(at >= 801)) return { missing: 'a QEMU of at least 8.1' };
  return { path };
}

const launcherPath = (host: string) => launcherFor(host)?.path ?? '';

const others = LAUNCHER_HOSTS.filter((host) => host !== THIS_HOST);

describe.each(others)('the launcher for %s', (host) => {
  const emulator = emulatorOf(host);
  if ('missing' in emulator) console.warn(`${host}: not run, it needs: ${emulator.missing}`);
  const qemu = 'path' in emulator ? emulator.path : '';
  const guest = CPUS.hppa;

  describe.skipIf('missing' in emulator)('under QEMU', () => {
    let bench: Bench;
    let launch: string;
    beforeAll(() => {
      bench = makeBench();
      bench.program('.uport/show', SHOW_ARGUMENTS);
      launch = bench.launcher(host, [
        { name: 'mipsn32', elf: CPUS.mipsn32, path: 'gone', args: [] },
        { name: 'mips', elf: CPUS.mips, path: 'gone', args: [] },
        { name: 'guest', elf: guest, path: 'show', args: ['-x', ''] },
      ]);
      bench.program('guest', elfHeader(guest));
      bench.program('own', elfHeader(CPUS[host as keyof typeof CPUS]));
      bench.program('m68k', elfHeader(CPUS.m68k));
      bench.program('mips', elfHeader(CPUS.mips));
      bench.program('script', `#!${bench.at('guest')} one two\n`);
    });
    afterAll(() => bench.remove());

    test('starts the emulator, byte for byte', () => {
      const words = ['', 'a b', 'x\ny', '\xff\x80\x01', '-0'];
      const commands = `exec ${qemu} ${quote(launch)} -- ${quote(bench.at('guest'))} ${words.map(quote).join(' ')}`;
      const ran = runShell(bench, commands);
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      const app = bench.at('guest');
      expect(fields(ran.stdout)).toEqual(['-x', '', '-0', app, app, ...words]);
    });

    test('follows scripts and PATH, and cleans the environment', () => {
      const env = { PATH: `${bench.folder}:/usr/bin:/bin`, UPORT_X: 'x', KEPT: 'yes' };
      const ran = run(qemu, [launch, 'script', 'y'], { env });
      const [app, script] = [bench.at('guest'), bench.at('script')];
      expect(fields(ran.stdout)).toEqual(['-x', '', '-0', app, app, 'one two', script, 'y']);
      expect(run(qemu, [launch, 'env'], { env }).stdout).toMatch(/KEPT=yes/);
      expect(run(qemu, [launch, 'env'], { env }).stdout).not.toMatch(/UPORT_/);
    });

    test('knows its own CPU and its own folder', () => {
      const own = run(qemu, [launch, bench.at('own')], { env: { UPORT_DEBUG: '1' } });
      expect(own.stderr).toContain(`manifest ${bench.at('.uport/manifest')} has 3 emulators\n`);
      expect(own.stderr).toContain(`own: is for ${host}, this host is ${host}\n`);
      expect(own.stderr).toContain(
        'own: started directly: it is of this host’s CPU'.replace('’', "'"),
      );
      expect(own.status).toBe(126);
    });

    test('ends with the right status and message', () => {
      const no = (...args: string[]) => run(qemu, [launch, ...args]);
      expect(no(bench.at('mips')).stderr).toMatch(/gone: the emulator for mips cannot be .*ENOENT/);
      expect(no(bench.at('mips')).status).toBe(125);
      expect(no(bench.at('m68k')).stderr).toContain(`is for the CPU m68k, this host is ${host}, `);
      expect(no(bench.at('m68k')).status).toBe(126);
      expect(no('no-such').stderr).toMatch(/^uport: no-such: was not found in PATH/);
      expect(no('no-such').status).toBe(127);
      expect(no('sh', '-c', 'exit 3').status).toBe(3);
    });

    test('unpacks and starts a single-host file, and notices a damaged one', () => {
      const app = writeApp(bench, host, exampleApp(host), 'universal');
      const env = { UPORT_CACHE_DIR: bench.at('universal.cache'), UPORT_DEBUG: '1' };
      const cold = run(qemu, [app.file, 'x', '--'], { env });
      expect(cold.stderr).toContain('unpacking into');
      const program = `${app.folder}/root/bin/foreign`;
      expect(fields(cold.stdout)).toEqual(['-cpu', 'a b', '-0', app.file, program, 'x', '--']);
      const warm = run(qemu, [app.file, 'x', '--'], { env });
      expect(warm.stderr).not.toContain('unpacking into');
      expect(warm.stdout).toBe(cold.stdout);
      const sum = run('sha256sum', [`${app.folder}/launch`, launcherPath(host)]).stdout.split('\n');
      expect(sum[0]?.slice(0, 64)).toBe(sum[1]?.slice(0, 64));
      const broken = writeApp(bench, host, exampleApp(host), 'broken', {
        frame: (frame) => Buffer.from(frame).fill(1, 12),
      });
      const other = { UPORT_CACHE_DIR: bench.at('broken.cache') };
      const refused = run(qemu, [broken.file], { env: other });
      expect(refused.stderr).toContain('its payload is damaged');
      expect(refused.status).toBe(125);
    });

    const privately = [['-pf'], ['-Urpf']].find((options) =>
      works('unshare', [...options, 'true']),
    );
    test.skipIf(!privately)('as PID 1: status, signals and orphans', () => {
      const first = (script: string) =>
        run('unshare', [
          ...(privately ?? []),
          '--mount-proc',
          '--kill-child',
          qemu,
          launch,
          'sh',
          '-c',
          script,
        ]);
      expect(first('exit 3').status).toBe(3);
      expect(first('kill -s SEGV $$').status).toBe(139);
      const orphans = `
        i=0; while [ $i -lt 20 ]; do (true & exec true); i=$((i+1)); done
        until ! cat /proc/[0-9]*/stat | grep -q ') Z '; do sleep 0.02; done
        trap 'echo got' USR1; kill -s USR1 1; sleep 0.2`;
      expect(first(orphans)).toMatchObject({ status: 0, stdout: 'got\n' });
    });
  });
});
