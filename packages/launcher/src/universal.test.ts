import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseManifest } from './manifest.ts';
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
} from './testing/launch.ts';
import { type Node, sha256 } from './testing/payload.ts';
import { type App, exampleApp, launcherBytes, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('universal.test.ts: skipped, there is no launcher for this machine');

const debugEnv = { UPORT_DEBUG: '1' };

describe.skipIf(!THIS_HOST)('a single-host file', () => {
  let bench: Bench;
  let app: App;
  beforeAll(() => {
    bench = makeBench();
    app = writeApp(bench, host, exampleApp(host));
  });
  afterAll(() => bench.remove());

  const program = () => join(app.folder, 'root/bin/foreign');

  test('unpacks at the first start, and not at the next', () => {
    const cold = app.start(['x'], { env: debugEnv });
    expect(cold.stderr).toContain('unpacking into');
    const expected = ['-cpu', 'a b', '-0', app.file, program(), 'x'];
    expect(fields(cold.stdout)).toEqual(expected);
    const made = statSync(join(app.folder, 'manifest')).ino;
    const warm = app.start(['x'], { env: debugEnv });
    expect(warm.stderr).not.toContain('unpacking');
    expect(fields(warm.stdout)).toEqual(expected);
    expect(statSync(join(app.folder, 'manifest')).ino).toBe(made);
  });

  test('eats no argument and no byte of one', () => {
    const all = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).join('');
    const words = ['--unpack', '--unpacked', '--', '--manifest', '', 'a b', '-0', '\n', all];
    const env = { UPORT_CACHE_DIR: bench.at('app.cache') };
    const ran = runShell(bench, `exec ${quote(app.file)} ${words.map(quote).join(' ')}`, { env });
    expect(ran.stderr).toBe('');
    expect(fields(ran.stdout)).toEqual(['-cpu', 'a b', '-0', app.file, program(), ...words]);
  });

  test('starts the program that argv[0] names', () => {
    for (const name of ['script', 'here']) {
      symlinkSync(app.file, bench.at(name));
      const env = { UPORT_CACHE_DIR: bench.at('app.cache') };
      expect(fields(run(bench.at(name), ['1', '2'], { env }).stdout)).toEqual(['1', '2']);
    }
    symlinkSync(app.file, bench.at('other'));
    const env = { UPORT_CACHE_DIR: bench.at('app.cache') };
    const other = fields(run(bench.at('other'), ['1'], { env }).stdout);
    expect(other).toEqual(['-cpu', 'a b', '-0', bench.at('other'), program(), '1']);
  });

  test('hands no control on', () => {
    const env = {
      UPORT_PREFER: 'native',
      UPORT_INFO: '0',
      UPORT_EXTRACT: '',
      UPORT_c: 'x',
      K: 'k',
    };
    const shown = writeApp(
      bench,
      host,
      exampleApp(host, {
        programs: [{ name: 'env', path: 'env' }],
        nodes: [{ file: 'env', content: '#!/bin/sh\nexec env -0\n' }],
      }),
      'shown',
    );
    const ran = shown.start([], { env });
    expect(ran.stdout).toMatch(/K=k\0/);
    expect(ran.stdout).not.toMatch(/UPORT_/);
  });

  test('unpacks names, modes, links and times as the index says', () => {
    const root = join(app.folder, 'root');
    const mode = (path: string) => (lstatSync(join(root, path)).mode & 0o7777).toString(8);
    expect(readdirSync(root, { encoding: 'latin1' }).sort()).toEqual(['bin', 'data', 'here']);
    expect(mode('bin')).toBe('555');
    expect(mode('bin/script')).toBe('500');
    expect(mode('data')).toBe('750');
    expect(mode('data/empty')).toBe('644');
    expect(mode('data/none')).toBe('0');
    expect(readlinkSync(join(root, 'data/away'))).toBe('/nowhere');
    expect(readlinkSync(join(root, 'here'))).toBe('bin/script');
    const script = statSync(join(root, 'bin/script'));
    expect(script.ino).toBe(statSync(join(root, 'bin/again')).ino);
    expect(script.mtimeMs).toBe(1000);
    const odd = Buffer.from(`${root}/data/\xff %\n`, 'latin1');
    expect(readFileSync(odd, 'latin1')).toBe('any byte');
    expect(statSync(join(app.folder, 'launch')).mtimeMs).toBe(1000);
    expect(sha256(readFileSync(join(app.folder, 'launch')))).toBe(sha256(launcherBytes(host)));
    expect(statSync(app.folder).mode & 0o7777).toBe(0o700);
    expect(readdirSync(bench.at('app.cache')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('writes the manifest that the documentation describes', () => {
    const text = readFileSync(join(app.folder, 'manifest'), 'latin1');
    expect(parseManifest(text)).toEqual({
      emulators: [{ name: 'm68k', elf: CPUS.m68k, path: 'qemu-m68k', args: ['-cpu', 'a b'] }],
      programs: [
        { name: 'foreign', path: 'root/bin/foreign' },
        { name: 'script', path: 'root/bin/script' },
        { name: 'here', path: 'root/here' },
      ],
      unpacked: [
        { path: 'launch', size: launcherBytes(host).length },
        { path: 'qemu-m68k', size: SHOW_ARGUMENTS.length },
        { path: 'root/bin/foreign', size: 5000 },
        { path: 'root/bin/script', size: SHOW_ARGUMENTS.length },
      ],
    });
  });

  describe('notices a cache that was changed, and unpacks again', () => {
    const later = new Date();
    test.each<[string, () => void]>([
      ['an emulator was written to', () => appendFileSync(join(app.folder, 'qemu-m68k'), 'x')],
      [
        'an emulator has other bytes of the same size',
        () => writeFileSync(join(app.folder, 'qemu-m68k'), 'x'.repeat(SHOW_ARGUMENTS.length)),
      ],
      ['the launcher was touched', () => utimesSync(join(app.folder, 'launch'), later, later)],
      ['the program is gone', () => rmSync(program())],
      ['the program is cut off', () => truncateSync(program(), 10)],
      [
        'the program is a symbolic link',
        () => {
          rmSync(program());
          symlinkSync('/bin/true', program());
        },
      ],
      ['the manifest is gone', () => rmSync(join(app.folder, 'manifest'))],
      ['the manifest is empty', () => truncateSync(join(app.folder, 'manifest'), 0)],
      ['the manifest is cut off', () => truncateSync(join(app.folder, 'manifest'), 70)],
      ['the manifest is another', () => writeFileSync(join(app.folder, 'manifest'), 'hello\n')],
      [
        'the manifest names no files',
        () =>
          writeFileSync(join(app.folder, 'manifest'), 'uport-manifest 1\nprogram a root/here\n'),
      ],
      [
        'the manifest is a symbolic link',
        () => {
          copyFileSync(join(app.folder, 'manifest'), bench.at('manifest'));
          rmSync(join(app.folder, 'manifest'));
          symlinkSync(bench.at('manifest'), join(app.folder, 'manifest'));
        },
      ],
      [
        'the folder is a symbolic link',
        () => {
          rmSync(bench.at('elsewhere'), { recursive: true, force: true });
          run('mv', [app.folder, bench.at('elsewhere')]);
          symlinkSync(bench.at('elsewhere'), app.folder);
        },
      ],
      [
        'the folder is a file',
        () => {
          rmSync(app.folder, { recursive: true });
          writeFileSync(app.folder, '');
        },
      ],
      [
        'a killed process left half a folder',
        () => {
          run('mv', [app.folder, `${app.folder}.tmp`]);
          chmodSync(`${app.folder}.tmp/root/bin`, 0);
          mkdirSync(`${app.folder}.tmp/root/data/a/b/c/d`, { recursive: true });
        },
      ],
    ])('%s', (_, change) => {
      app.start();
      const whole = readFileSync(join(app.folder, 'manifest'), 'latin1');
      chmodSync(join(app.folder, 'root/bin'), 0o755);
      change();
      const ran = app.start(['y'], { env: debugEnv });
      expect(ran.stderr).toContain('unpacking into');
      expect(fields(ran.stdout)).toEqual(['-cpu', 'a b', '-0', app.file, program(), 'y']);
      expect(readFileSync(join(app.folder, 'manifest'), 'latin1')).toBe(whole);
      expect(app.start([], { env: debugEnv }).stderr).not.toContain('unpacking');
      const names = readdirSync(bench.at('app.cache')).sort();
      expect(names).toEqual([`${app.payload.id}-${host}`, `${app.payload.id}-${host}.lock`]);
    });

    test('only the program that is started is looked at', () => {
      app.start();
      const script = join(app.folder, 'root/bin/script');
      utimesSync(script, later, later);
      expect(app.start([], { env: debugEnv }).stderr).not.toContain('unpacking');
      const env = { UPORT_CACHE_DIR: bench.at('app.cache'), UPORT_DEBUG: '1' };
      expect(run(bench.at('script'), [], { env }).stderr).toContain('unpacking');
    });
  });

  test('a native build takes the place of its file, and the tree’s other files stay', () => {
    const slices = [{ path: 'bin/foreign', content: '#!/bin/sh\necho native "$@"\n' }];
    const launcher = launcherBytes(host);
    const native = writeApp(
      bench,
      host,
      exampleApp(host, { hosts: [{ name: host, launcher, slices }] }),
      'native',
    );
    expect(native.start(['x']).stdout).toBe('native x\n');
    expect(statSync(join(native.folder, 'root/bin/foreign')).mode & 0o777).toBe(0o755);
    expect(readFileSync(join(native.folder, 'root/bin/script'), 'latin1')).toBe(SHOW_ARGUMENTS);
    // The only file has a native build: its own bytes are not even decompressed.
    const only = exampleApp(host, {
      hosts: [{ name: host, launcher, slices: [{ path: 'a', content: slices[0]?.content ?? '' }] }],
      programs: [{ name: 'a', path: 'a' }],
      nodes: [{ file: 'a', content: elfHeader(CPUS.m68k) }],
    });
    const damage = { frame: (frame: Buffer, n: number) => (n === 1 ? frame.fill(0, 4) : frame) };
    expect(writeApp(bench, host, only, 'only', damage).start(['y']).stdout).toBe('native y\n');
  });

  test('nests: an app starts another one', () => {
    const outer = writeApp(
      bench,
      host,
      exampleApp(host, {
        programs: [{ name: 'a', path: 'a' }],
        nodes: [{ file: 'a', content: `#!/bin/sh\nUPORT_CACHE_DIR=$C exec "$@"\n` }],
      }),
      'outer',
    );
    const ran = outer.start([app.file, 'z'], { env: { C: bench.at('app.cache') } });
    expect(fields(ran.stdout)).toEqual(['-cpu', 'a b', '-0', app.file, program(), 'z']);
  });

  test.each([10, 14, 17, 18, 20, 22, 25])(
    'a large file arrives whole through a window of 2^%i bytes',
    (windowLog) => {
      const content = Buffer.alloc(3_000_001);
      for (let i = 0, x = windowLog; i < content.length; i++) {
        // New bytes, and copies from just inside the window.
        x = (x * 1103515245 + 12345) & 0x7fffffff;
        const back = (1 << windowLog) - 700;
        const fresh = i < back || i % 3000 < 1500;
        content[i] = fresh ? x >> 16 : (content[i - back] ?? 0);
      }
      const nodes: Node[] = [
        { file: 'first', content: 'x', mode: 0o644 },
        { file: 'large', content, mode: 0o644 },
        { file: 'sum', content: '#!/bin/sh\ncd "$(dirname "$0")" && sha256sum <large\n' },
      ];
      const programs = [{ name: 'sum', path: 'sum' }];
      const name = `sum-${windowLog}`;
      const sum = writeApp(bench, host, exampleApp(host, { nodes, programs }), name, { windowLog });
      expect(sum.start()).toMatchObject({ stdout: `${sha256(content)}  -\n`, stderr: '' });
    },
  );

  test('a window of more than 32 MiB is refused', () => {
    const nodes: Node[] = [{ file: 'a', content: Buffer.alloc(40 << 20) }];
    const programs = [{ name: 'a', path: 'a' }];
    const app = exampleApp(host, { nodes, programs });
    const ran = writeApp(bench, host, app, 'wide', { windowLog: 26 }).start();
    expect(ran.stderr).toMatch(/its payload is damaged: a part of it cannot be decompressed/);
  });

  test('has no part for this host: says so', () => {
    const hosts = [{ name: 'vax', launcher: launcherBytes(host) }];
    const lost = writeApp(bench, host, exampleApp(host, { hosts }), 'lost');
    const ran = lost.start();
    expect(ran.status).toBe(126);
    expect(ran.stderr).toMatch(/: has no part for this host's CPU, /);
    expect(existsSync(lost.folder)).toBe(false);
  });
});
