// The universal form as sh starts it: the launcher is copied out of the file, then unpacked.
import { copyFileSync, existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LAUNCHER_HOSTS } from './launcher.ts';
import { type Bench, fields, makeBench, type Ran, run, THIS_HOST } from './testing/launch.ts';
import { encodePayload, type Payload } from './testing/payload.ts';
import { exampleApp, launcherBytes } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('stage0.test.ts: skipped, there is no launcher for this machine');

const BLOCK = 4096;
const padded = (bytes: Buffer) =>
  Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

describe.skipIf(!THIS_HOST)('a universal file', () => {
  let bench: Bench;
  let file: string;
  let payload: Payload;
  let folder: string;

  beforeEach(() => {
    bench = makeBench();
    payload = encodePayload(exampleApp(host));
    // What sh and FatELF put before the payload: something, then launchers on page boundaries.
    const launchers = LAUNCHER_HOSTS.map((name) => padded(launcherBytes(name)));
    const parts = [Buffer.alloc(2 * BLOCK, '#'), ...launchers, payload.bytes];
    file = bench.program('app', Buffer.concat(parts));
    folder = bench.at(`cache/${payload.id}-${host}`);
  });
  afterEach(() => bench.remove());

  const start = (launch: string, option: string, env: Record<string, string> = {}): Ran =>
    run(launch, [option, file, 'name', '--unpack', 'a b'], {
      env: { UPORT_CACHE_DIR: bench.at('cache'), UPORT_DEBUG: '1', ...env },
    });
  const copyOut = (): string => bench.program('cache/start.1', launcherBytes(host), 0o700);
  const whole = () => {
    const program = join(folder, 'root/bin/foreign');
    return ['-cpu', 'a b', '-0', 'name', program, '--unpack', 'a b'];
  };

  test('cold: unpacks, removes the copy that it was started from, starts the app', () => {
    const copy = copyOut();
    const ran = start(copy, '--unpack');
    expect(ran.stderr).toContain('unpacking into');
    expect(fields(ran.stdout)).toEqual(whole());
    expect(existsSync(copy)).toBe(false);
    expect(readFileSync(join(folder, 'launch')).equals(launcherBytes(host))).toBe(true);
  });

  test('cold, but another process was faster', () => {
    start(copyOut(), '--unpack');
    const copy = copyOut();
    const ran = start(copy, '--unpack');
    expect(ran.stderr).not.toContain('unpacking into');
    expect(fields(ran.stdout)).toEqual(whole());
    expect(existsSync(copy)).toBe(false);
  });

  test('a launcher of another name is not removed', () => {
    const launch = bench.program('cache/launch', launcherBytes(host));
    expect(fields(start(launch, '--unpack').stdout)).toEqual(whole());
    expect(existsSync(launch)).toBe(true);
  });

  test('warm: the file is not even looked at', () => {
    start(copyOut(), '--unpack');
    rmSync(file);
    const ran = start(join(folder, 'launch'), '--unpacked');
    expect(fields(ran.stdout)).toEqual(whole());
    expect(ran.stderr).not.toContain('unpacking into');
  });

  test('warm, but the folder was changed: unpacks again', () => {
    start(copyOut(), '--unpack');
    for (const name of ['launch', 'qemu-m68k', 'manifest']) {
      if (name === 'manifest') writeFileSync(join(folder, name), 'uport-manifest 1\n');
      else utimesSync(join(folder, name), 5, 5);
      const ran = start(join(folder, 'launch'), '--unpacked');
      expect(ran.stderr).toContain('unpacking into');
      expect(fields(ran.stdout)).toEqual(whole());
    }
  });

  test('a launcher that was changed is taken from the file again', () => {
    start(copyOut(), '--unpack');
    const longer = Buffer.concat([launcherBytes(host), Buffer.from('x')]);
    writeFileSync(join(folder, 'launch'), longer);
    const ran = start(join(folder, 'launch'), '--unpacked');
    expect(fields(ran.stdout)).toEqual(whole());
    expect(readFileSync(join(folder, 'launch')).equals(launcherBytes(host))).toBe(true);
  });

  test('left-overs of killed starts go, those that may still start stay', () => {
    copyOut();
    const young = bench.at('cache/start.2');
    copyFileSync(bench.at('cache/start.1'), young);
    const old = bench.at('cache/start.3');
    copyFileSync(young, old);
    const long = new Date(Date.now() - 2 * 3600 * 1000);
    utimesSync(old, long, long);
    bench.program('cache/other-x.tmp/root/file', 'x');
    bench.program('cache/other-x.lock', '');
    start(bench.at('cache/start.1'), '--unpack');
    expect([young, old, bench.at('cache/other-x.tmp')].map((path) => existsSync(path))).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('without the file nothing can be unpacked: says so', () => {
    const ran = run(copyOut(), ['--unpack', bench.at('gone'), 'name']);
    expect(ran.status).toBe(125);
    expect(ran.stderr).toMatch(/^uport: .*\/gone: cannot be opened \(ENOENT\), /);
    const other = run(copyOut(), ['--unpack', '/bin/sh', 'name']);
    expect(other.status).toBe(125);
    expect(other.stderr).toMatch(/^uport: \/bin\/sh: has no payload at its end, /);
  });
});
