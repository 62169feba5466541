import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeManifest, type Manifest } from './manifest.ts';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  run,
  THIS_HOST,
} from './testing/launch.ts';
import { type App, exampleApp, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST)
  console.warn('surroundings.test.ts: skipped, there is no launcher for this machine');

/** A stand-in for an emulator or a host program: its arguments, its environment, where it runs. */
const SHOW_ALL = '#!/bin/sh\nprintf \'%s\\0\' "$@"\nenv\npwd -P\n';

describe.skipIf(!THIS_HOST)('an unpacked app', () => {
  let bench: Bench;
  let app: App;
  beforeAll(() => {
    bench = makeBench();
    const example = exampleApp(host);
    app = writeApp(bench, host, {
      ...example,
      hosts: example.hosts.map((one) => ({
        ...one,
        emulators: [{ name: 'm68k', elf: CPUS.m68k, content: SHOW_ALL }],
      })),
      nodes: [...example.nodes, { file: 'host', content: SHOW_ALL }],
      surroundings: [
        'guest m68k 4 32 msb 0 0',
        'env SET new%20value',
        'env ADDED %',
        'unset GONE',
        'guest-env PLAIN a%20b',
        'guest-env COMMA a,b',
        'guest-paths LD_PRELOAD data/empty bin/again',
        'workdir data',
      ],
      programs: [
        { name: 'app', path: 'bin/foreign', args: ['first', ''], defaults: ['one', 'two'] },
        { name: 'host', path: 'host', defaults: ['three'] },
      ],
    });
  });
  afterAll(() => bench.remove());

  const start = (args: readonly string[] = []) =>
    app.start(args, { env: { SET: 'old', GONE: 'x', LD_PRELOAD: 'theirs' } }).stdout;
  const lines = (out: string) => new Set(out.slice(out.lastIndexOf('\0') + 1).split('\n'));
  const root = () => join(app.folder, 'root');

  test('gets its words and the caller’s, or its defaults', () => {
    const words = (out: string) =>
      fields(out).slice(fields(out).indexOf(join(root(), 'bin/foreign')) + 1);
    expect(words(start())).toEqual(['first', '', 'one', 'two']);
    expect(words(start(['x']))).toEqual(['first', '', 'x']);
  });

  test('has its environment and its working directory', () => {
    const got = lines(start());
    expect(got).toContain('SET=new value');
    expect(got).toContain('ADDED=');
    expect([...got].filter((line) => line.startsWith('GONE='))).toEqual([]);
    expect(got).toContain(join(root(), 'data'));
  });

  test('gets the guest’s variables as options of the emulator, whose own environment has none', () => {
    const out = start();
    const list = `${root()}/data/empty:${root()}/bin/again:theirs`;
    expect(fields(out).slice(0, 4)).toEqual(['-E', 'PLAIN=a b', '-E', `LD_PRELOAD=${list}`]);
    expect(lines(out)).toContain('LD_PRELOAD=theirs');
    expect(lines(out)).toContain('COMMA=a,b');
  });

  test('gives none of them to host programs', () => {
    symlinkSync(app.file, bench.at('host'));
    const out = run(bench.at('host'), [], {
      env: { UPORT_CACHE_DIR: bench.at('app.cache') },
    }).stdout;
    expect(fields(out)).toEqual(['three']);
    expect([...lines(out)].filter((line) => /^(PLAIN|COMMA|LD_PRELOAD)=/.test(line))).toEqual([]);
    expect(lines(out)).toContain('SET=new value');
  });
});

describe.skipIf(!THIS_HOST)('the launcher of an image', () => {
  let bench: Bench;
  beforeAll(() => {
    bench = makeBench();
  });
  afterAll(() => bench.remove());

  test('names no file in a list that its name would divide', () => {
    const launch = bench.launcher(host, [], 'a b');
    const manifest: Manifest = {
      emulators: [{ name: 'm68k', elf: CPUS.m68k, path: 'qemu', args: [] }],
      surroundings: {
        guest: { name: 'm68k', elf: CPUS.m68k },
        settings: [{ kind: 'guest-paths', name: 'LD_PRELOAD', paths: ['x.so'] }],
      },
    };
    writeFileSync(bench.at('a b/manifest'), encodeManifest(manifest), 'latin1');
    const program = bench.program('foreign', elfHeader(CPUS.m68k));
    const ran = run(launch, [program]);
    expect([ran.status, ran.stdout]).toEqual([125, '']);
    expect(ran.stderr).toContain('divided at blanks and colons');
  });

  test('leaves a working directory that is not there with a message', () => {
    const launch = bench.launcher(host, [], '.uport');
    writeFileSync(
      bench.at('.uport/manifest'),
      encodeManifest({ emulators: [], surroundings: { workdir: 'none' } }),
      'latin1',
    );
    const ran = run(launch, ['/bin/true']);
    expect(ran.status).toBe(125);
    expect(ran.stderr).toContain('cannot be entered (ENOENT)');
  });
});
