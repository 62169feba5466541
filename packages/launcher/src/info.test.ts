// UPORT_INFO and UPORT_EXTRACT: what a file tells about itself, and unpacking it by hand.
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Bench,
  CPUS,
  fields,
  makeBench,
  run,
  SHOW_ARGUMENTS,
  THIS_HOST,
} from './testing/launch.ts';
import { type App, exampleApp, launcherBytes, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('info.test.ts: skipped, there is no launcher for this machine');

describe.skipIf(!THIS_HOST)('a universal file', () => {
  let bench: Bench;
  let app: App;
  const size = () => launcherBytes(host).length;
  beforeEach(() => {
    bench = makeBench();
    const m68k = { name: 'm68k', elf: CPUS.m68k, content: SHOW_ARGUMENTS };
    const slices = [{ path: 'bin/script', content: '#!/bin/sh\necho native\n' }];
    const launcher = launcherBytes(host);
    const hosts = [
      { name: host, launcher, emulators: [m68k], slices },
      { name: 'vax', launcher: Buffer.alloc(5) },
    ];
    app = writeApp(bench, host, exampleApp(host, { app: 'an app\n', hosts }));
  });
  afterEach(() => bench.remove());

  test('UPORT_INFO tells what is inside and what would run, and runs nothing', () => {
    const ran = app.start(['x'], { env: { UPORT_INFO: '1' } });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout.replaceAll(/packed \d+/g, 'packed N').split('\n')).toEqual([
      `file: ${app.file}`,
      'app: an app\\x0a',
      `id: ${app.payload.id}`,
      `payload: ${app.payload.bytes.length} bytes`,
      'program foreign: bin/foreign',
      'program script: bin/script',
      'program here: here',
      `host ${host}: launcher, ${size()} bytes`,
      `  emulator qemu-m68k, ${SHOW_ARGUMENTS.length} bytes, packed N`,
      '  native build of bin/script, 22 bytes, packed N',
      'host vax: launcher, 5 bytes',
      'tree: 5037 bytes in 4 files, 3 folders, 3 links',
      `here: ${host} starts bin/foreign with qemu-m68k`,
      'unpacked: not yet',
      '',
    ]);
    expect(existsSync(app.folder)).toBe(false);
  });

  test('UPORT_INFO tells where it lies, and goes by argv[0]', () => {
    app.start();
    symlinkSync(app.file, bench.at('script'));
    const env = { UPORT_INFO: '1', UPORT_CACHE_DIR: bench.at('app.cache') };
    const ran = run(bench.at('script'), [], { env });
    expect(ran.stdout).toContain(`here: ${host} starts bin/script directly, as a native build\n`);
    expect(ran.stdout).toContain(`unpacked: ${app.folder}/\n`);
  });

  test('UPORT_EXTRACT unpacks into a new folder, and runs nothing', () => {
    const ran = app.start(['x'], { env: { UPORT_EXTRACT: bench.at('new') } });
    expect(ran).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(readdirSync(bench.at('new')).sort()).toEqual([
      'launch',
      'manifest',
      'qemu-m68k',
      'root',
    ]);
    expect(statSync(bench.at('new')).mode & 0o777).toBe(0o755);
    expect(readdirSync(bench.at('new/root/bin')).sort()).toEqual(['again', 'foreign', 'script']);
    expect(existsSync(app.folder)).toBe(false);
    const started = run(bench.at('new/launch'), ['--', bench.at('new/root/bin/foreign'), 'y']);
    expect(fields(started.stdout).slice(3)).toEqual(['y']);
  });

  test('UPORT_EXTRACT takes relative names, and an empty folder', () => {
    mkdirSync(bench.at('empty'));
    for (const name of ['empty', './near/', 'near2']) {
      const ran = run(app.file, [], { cwd: bench.folder, env: { UPORT_EXTRACT: name } });
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(existsSync(bench.at(`${name}/root/here`))).toBe(true);
    }
  });

  test('UPORT_EXTRACT leaves alone what is there', () => {
    mkdirSync(bench.at('full'));
    bench.program('full/file', 'x');
    symlinkSync(bench.at('full'), bench.at('link'));
    for (const name of ['full', 'link', 'full/file', '.', '..', 'full/..', '']) {
      const ran = app.start([], { env: { UPORT_EXTRACT: `${bench.folder}/${name}` } });
      expect(ran.status).toBe(125);
      expect(ran.stderr).toMatch(/: is there already, name a new folder with UPORT_EXTRACT\n$/);
    }
    expect(readdirSync(bench.at('full'))).toEqual(['file']);
    const lost = app.start([], { env: { UPORT_EXTRACT: bench.at('no/such') } });
    expect(lost.stderr).toMatch(/no: cannot be opened \(ENOENT\), /);
    expect(lost.status).toBe(125);
  });

  test('UPORT_EXTRACT leaves nothing unfinished', () => {
    const broken = writeApp(bench, host, exampleApp(host), 'broken', {
      frame: (frame, number) => (number === 1 ? Buffer.from(frame).fill(1, 9) : frame),
    });
    const before = readdirSync(bench.folder).sort();
    const ran = broken.start([], { env: { UPORT_EXTRACT: bench.at('new') } });
    expect(ran.stderr).toMatch(/its payload is damaged/);
    expect(readdirSync(bench.folder).sort()).toEqual(before);
  });

  test('set-user-id bits are not given', () => {
    const nodes = [
      { dir: 'd', mode: 0o7777 },
      { file: 'd/f', content: '#!/bin/sh\n', mode: 0o6755 },
    ];
    const programs = [{ name: 'f', path: 'd/f' }];
    const plain = writeApp(bench, host, exampleApp(host, { nodes, programs }), 'plain');
    expect(plain.start().status).toBe(0);
    expect(statSync(`${plain.folder}/root/d/f`).mode & 0o7777).toBe(0o755);
    expect(statSync(`${plain.folder}/root/d`).mode & 0o7777).toBe(0o1777);
    chmodSync(`${plain.folder}/root/d`, 0o755);
  });
});
