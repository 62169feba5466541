import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Closure, closureOfFile } from '../closure/index.ts';
import type { DebianContext } from '../debian/context.ts';
import { type FakePackage, makeArchive, makeKey, NOW } from '../debian/testing/archive.ts';
import { startMirror, type TestMirror } from '../debian/testing/server.ts';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/store.ts';
import { findDebianLibraries } from './find-debian-libraries.ts';

// Node itself is a dynamic program of this machine's CPU.
const [architecture, triplet, loader] =
  process.arch === 'arm64'
    ? ['arm64', 'aarch64-linux-gnu', 'ld-linux-aarch64.so.1']
    : ['amd64', 'x86_64-linux-gnu', 'ld-linux-x86-64.so.2'];

let folder: string;
let mirror: TestMirror;
let context: DebianContext;
let closure: Closure;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-debian-libraries-'));
  mkdirSync(path.join(folder, 'root'));
  closure = await closureOfFile({ file: process.execPath, sysroot: path.join(folder, 'root') });
  const pack = (name: string, version: string, ...libraries: string[]): FakePackage => ({
    name,
    version,
    files: Object.fromEntries(
      libraries.map((each) => [`./usr/lib/${triplet}/${each}`, Buffer.from('library')]),
    ),
  });
  const libc = (version: string) =>
    pack('libc6', version, 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', loader);
  const suite = (codename: string, ...packages: FakePackage[]) => ({
    codename,
    packages: { [architecture]: packages, all: [] },
  });
  const key = await makeKey();
  const keyring = path.join(folder, 'keyring.asc');
  writeFileSync(keyring, key.armored);
  const archive = [
    // No program of today runs with so old a C library.
    suite('old', libc('2.2-1'), pack('libstdc++6', '4-1', 'libstdc++.so.6')),
    suite('new', libc('2.99-1'), pack('libgcc-s1', '14-1', 'libgcc_s.so.1')),
  ];
  mirror = await startMirror(await makeArchive(archive, key.privateKey));
  context = {
    store: await Store.open(path.join(folder, 'store')),
    progress: silentProgress,
    signal: new AbortController().signal,
    env: {},
    now: () => NOW,
    debian: { mirror: mirror.url, keyring, retryDelays: [] },
  };
});
afterAll(async () => {
  await mirror?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('each missing library is named with the first suite that is new enough, by the indexes alone', async () => {
  const missing = closure.missing.map(({ name }) => name);
  expect(missing).toEqual(expect.arrayContaining(['libc.so.6', 'libstdc++.so.6']));
  const result = await findDebianLibraries(closure, { suites: ['old', 'new'] }, context);
  const bySoname = new Map(result.found.map((each) => [each.soname, each]));
  expect(bySoname.get('libc.so.6')).toEqual({
    soname: 'libc.so.6',
    required: true,
    suite: 'new',
    package: 'libc6',
    version: '2.99-1',
    path: `usr/lib/${triplet}/libc.so.6`,
  });
  expect(bySoname.get('libstdc++.so.6')).toMatchObject({ suite: 'old', package: 'libstdc++6' });
  // The loader comes first, then the order of the closure.
  expect(result.found[0]?.soname).toBe(loader);
  expect([...bySoname.keys()]).toEqual([...new Set([loader, ...missing])]);
  expect(result).toMatchObject({ architecture, absent: [] });
  expect(mirror.requests.filter((each) => each.includes('pool/'))).toEqual([]);
});

test('what is in no suite is said', async () => {
  const { absent, found } = await findDebianLibraries(closure, { suites: ['old'] }, context);
  expect(absent).toContain('libc.so.6');
  expect(found.map(({ soname }) => soname)).not.toContain('libc.so.6');
});

test('a suite that cannot be asked is no proof of absence', async () => {
  const asked = findDebianLibraries(closure, { suites: ['old', 'none'] }, context);
  await expect(asked).rejects.toMatchObject({ code: 'UPORT_DEBIAN_SUITE_MISSING' });
});
