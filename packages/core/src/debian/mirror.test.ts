import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/index.ts';
import { aptMirrors, findMirrors } from './mirror.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-apt-'));
  mkdirSync(path.join(folder, 'sources.list.d'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function source(name: string, text: string): void {
  writeFileSync(path.join(folder, name), text);
}

test('the one-line format is read', async () => {
  source(
    'sources.list',
    `# deb http://comment.example/debian sid main
deb http://one.example/debian/ bookworm main contrib
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://two.example/debian trixie-backports main
deb-src http://source.example/debian sid main
deb http://one.example/debian bookworm-updates main
deb http://one.example/security bookworm-security main
deb https://vendor.example/apt stable-vendor main
deb http://ubuntu.example/ubuntu noble main
deb cdrom:[Debian]/ bookworm main
deb file:/srv/debian sid main
`,
  );
  expect(await aptMirrors(folder)).toEqual([
    'http://one.example/debian',
    'https://two.example/debian',
  ]);
});

test('the deb822 format is read', async () => {
  source(
    'sources.list.d/debian.sources',
    `Types: deb deb-src
# a comment
URIs: http://one.example/debian
 https://two.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://one.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: sid
Enabled: no

Types: deb
URIs: https://vendor.example/node
Suites: nodistro
Components: main
`.replaceAll('\n', '\r\n'),
  );
  source('sources.list.d/old.list.save', 'deb http://saved.example/debian sid main');
  source('sources.list.d/a.list', 'deb http://first.example/debian sid main');
  expect(await aptMirrors(folder)).toEqual([
    'http://first.example/debian',
    'http://one.example/debian',
    'https://two.example/debian',
  ]);
});

test('the named mirror is the only one; else apt’s, then the snapshot archive', async () => {
  const base = {
    store: await Store.open(path.join(folder, 'store')),
    progress: silentProgress,
    signal: new AbortController().signal,
    now: () => new Date('2026-03-01T23:00:00Z'),
    env: {},
  };
  source('sources.list', 'deb http://one.example/debian sid main');
  const named = { ...base, debian: { mirror: 'http://named.example/debian/', aptFolder: folder } };
  expect((await findMirrors(named)).map(({ url }) => url)).toEqual(['http://named.example/debian']);
  const env = { UPORT_DEBIAN_MIRROR: 'http://env.example/debian' };
  expect((await findMirrors({ ...base, env })).map(({ url }) => url)).toEqual([
    'http://env.example/debian',
  ]);
  expect(await findMirrors({ ...base, debian: { aptFolder: folder } })).toEqual([
    { url: 'http://one.example/debian', key: 'http://one.example/debian' },
    { url: 'https://snapshot.debian.org/archive/debian/20260301T000000Z', key: 'snapshot' },
  ]);
});

test('a machine without apt has the snapshot archive', async () => {
  expect(await aptMirrors(path.join(folder, 'missing'))).toEqual([]);
});
