import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../app/app.ts';
import { loadApp } from '../app/load-app.ts';
import type { DebianContext } from '../debian/context.ts';
import {
  type FakePackage,
  type FakeSuite,
  makeArchive,
  makeKey,
  NOW,
  sha256,
} from '../debian/testing/archive.ts';
import { startMirror, type TestMirror } from '../debian/testing/server.ts';
import { silentProgress } from '../model/progress.ts';
import type { PinnedPackage } from '../plan/plan.ts';
import { Store } from '../store/store.ts';
import { type LibrarySource, takeLibraries } from './take-libraries.ts';

const noCompiler = spawnSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).stdout?.startsWith(
  'x86_64',
)
  ? undefined
  : 'gcc for x86_64 missing: apt-get install gcc';

const LOADER = './usr/lib64/ld-linux-x86-64.so.2';
const THING = './usr/lib/x86_64-linux-gnu/libthing.so.1';
const DEEP_THING = './usr/lib/x86_64-linux-gnu/thing/libthing.so.1';

describe.skipIf(noCompiler)(`libraries from Debian${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let folder: string;
  let mirror: TestMirror;
  let context: DebianContext;
  let app: App;
  const warnings: string[] = [];
  const things: Record<'1.0' | '2.0', FakePackage> = {} as never;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'uport-take-libraries-'));
    const at = (name: string) => path.join(folder, name);
    writeFileSync(at('thing.c'), 'void f(void) {} void g(void) {}');
    writeFileSync(at('app.c'), 'void f(void); void g(void); void _start(void) { f(); g(); }');
    writeFileSync(at('1.0.map'), 'THING_1 { global: f; local: *; };');
    writeFileSync(at('2.0.map'), 'THING_1 { global: f; local: *; }; THING_2 { global: g; };');
    const gcc = (...args: readonly string[]) => {
      const { status, stderr } = spawnSync('gcc', ['-nostdlib', ...args], { cwd: folder });
      if (status !== 0) throw new Error(String(stderr));
    };
    const library = ['-shared', '-fPIC', '-Wl,-soname,libthing.so.1', 'thing.c'];
    for (const version of ['1.0', '2.0'] as const) {
      gcc(...library, `-Wl,--version-script,${version}.map`, '-o', `libthing-${version}.so`);
      const bytes = readFileSync(at(`libthing-${version}.so`));
      things[version] = { name: 'libthing', version, files: { [THING]: bytes } };
    }
    gcc('-shared', '-fPIC', 'thing.c', '-o', 'loader.so');
    gcc(
      'app.c',
      'libthing-2.0.so',
      '-o',
      'app',
      '-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2',
    );

    const libc: FakePackage = {
      name: 'libc6',
      version: '2.40',
      files: { [LOADER]: readFileSync(at('loader.so')) },
    };
    const many = Array.from({ length: 13_000 }, (_, i) => {
      return [`./usr/share/many/${'d'.repeat(90)}/${'e'.repeat(60)}-${i}`, Buffer.of()] as const;
    });
    const suite = (codename: string, ...packages: readonly FakePackage[]): FakeSuite => ({
      codename,
      packages: { amd64: packages, all: [] },
    });
    const key = await makeKey();
    const keyring = at('keyring.asc');
    writeFileSync(keyring, key.armored);
    const suites = [
      suite('old', libc, things['1.0']),
      suite('new', libc, things['2.0']),
      // What is locked may be there still.
      suite('both', libc, things['2.0'], things['1.0']),
      suite('deep', libc, {
        name: 'libthing',
        version: '1.1',
        files: { [DEEP_THING]: things['1.0'].files[THING] as Uint8Array },
      }),
      suite('bare', libc),
      suite('large', libc, things['2.0'], {
        name: 'many',
        version: '1',
        files: Object.fromEntries(many),
      }),
    ];
    mirror = await startMirror(await makeArchive(suites, key.privateKey));
    const store = await Store.open(at('store'));
    const signal = new AbortController().signal;
    const debian = { mirror: mirror.url, keyring, retryDelays: [] };
    const warn = (message: string) => void warnings.push(message);
    context = { store, progress: silentProgress, signal, env: {}, now: () => NOW, debian, warn };
    app = await loadApp(at('app'), {}, { progress: silentProgress, signal });
  });
  afterAll(async () => {
    await mirror?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function take(source: LibrarySource) {
    const taken = await takeLibraries(app, source, context);
    const entry = taken.app.payload.entries.find((each) => each.path === THING.slice(2));
    const digest = entry?.type === 'file' ? entry.digest : undefined;
    const version = (['1.0', '2.0'] as const).find(
      (each) => digest === `sha256:${sha256(things[each].files[THING] as Uint8Array)}`,
    );
    const listed = taken.packages.map((each) => `${each.name} ${each.version}`);
    return { ...taken, version, listed };
  }

  /** The package as a lock pins it. */
  async function pinned(suite: string): Promise<PinnedPackage> {
    const { packages } = await take({ suites: [suite] });
    return packages.find(({ name }) => name === 'libthing') as PinnedPackage;
  }

  test('a package that is named stays in the list when a newer suite has to give it', async () => {
    const named = { suites: ['old', 'new'], packages: ['libthing'] };
    expect(await take(named)).toMatchObject({
      version: '2.0',
      listed: ['libc6 2.40', 'libthing 2.0'],
    });
    // And when none has a newer one.
    const only = { suites: ['old', 'old'], packages: ['libthing'] };
    expect(await take(only)).toMatchObject({
      version: '1.0',
      listed: ['libc6 2.40', 'libthing 1.0'],
    });
    expect(warnings.join()).toContain('has no version THING_2');
  });

  test('a locked library that is too old gives way to what the suite has', async () => {
    const pin = { ...(await pinned('old')), suite: 'both' };
    const locked = { suites: ['both'], locked: { packages: [pin], only: false } };
    expect(await take(locked)).toMatchObject({
      version: '2.0',
      listed: ['libc6 2.40', 'libthing 2.0'],
    });
    // One that will do stays, though it is not the newest.
    const good = { ...(await pinned('new')), suite: 'old' };
    const kept = await take({ suites: ['old'], locked: { packages: [good], only: false } });
    expect(kept).toMatchObject({ version: '2.0', listed: ['libc6 2.40', 'libthing 2.0'] });
  });

  test('what is too old and alone is kept with the lock that it went into', async () => {
    const source = { suites: ['deep', 'bare'], packages: ['libthing'] };
    const { packages, listed } = await take(source);
    expect(listed).toEqual(['libc6 2.40', 'libthing 1.1']);
    const frozen = await take({ ...source, locked: { packages, only: true } });
    expect(frozen.packages).toEqual(packages);
    expect(warnings.at(-1)).toContain('has no version THING_2');
  });

  test('a lock that says other things of a package than the package itself is refused', async () => {
    const pin = await pinned('new');
    const wrong: readonly Partial<PinnedPackage>[] = [
      { name: 'libother' },
      { version: '2.1', sourceVersion: '2.1' },
      { architecture: 'arm64' },
      { sourcePackage: 'another' },
      { sourceVersion: '1' },
    ];
    for (const each of wrong) {
      const locked = { packages: [{ ...pin, ...each }], only: false };
      await expect(take({ suites: ['new'], locked })).rejects.toMatchObject({
        code: 'UPORT_LOCK_PACKAGE_DIFFERS',
        message: expect.stringContaining(String(Object.values(each)[0])),
      });
    }
  });

  test('a package may hold tens of thousands of files', async () => {
    const source = { suites: ['large'], packages: ['many'] };
    const first = await take(source);
    const count = () =>
      first.app.payload.entries.filter((each) => each.path.startsWith('usr/share/many/')).length;
    expect(count()).toBe(13_001);
    // From what was noted of it.
    expect((await take(source)).app.payload.entries).toEqual(first.app.payload.entries);
  });
});
