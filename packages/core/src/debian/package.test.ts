import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PrivateKey } from 'openpgp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/index.ts';
import type { DebianContext } from './context.ts';
import { fetchDebianPackage } from './package.ts';
import {
  type FakePackage,
  type FakeSuite,
  makeArchive,
  makeKey,
  NOW,
  releaseText,
  sha256,
  signInline,
} from './testing/archive.ts';
import {
  breakOff,
  cutOff,
  endless,
  flipBit,
  hangUp,
  type Misbehaviour,
  otherBytes,
  stall,
  startMirror,
  status,
  type TestMirror,
} from './testing/server.ts';

let folder: string;
let key: PrivateKey;
let keyring: string;
let mirror: TestMirror;
let store: Store;
let warnings: string[];

const tool = (version: string): FakePackage => ({
  name: 'tool',
  version,
  source: 'toolbox (1:2.0-1)',
  files: { './usr/bin/tool': Buffer.from(`tool ${version} `.repeat(500)) },
});
const SUITES: readonly FakeSuite[] = [
  {
    codename: 'sid',
    suite: 'unstable',
    packages: { amd64: [tool('2.0-1+b1'), tool('1.9')], all: [] },
  },
  { codename: 'trixie', suite: 'stable', packages: { amd64: [tool('1.0')], arm64: [tool('1.0')] } },
];
const SID_INDEX = 'dists/sid/main/binary-amd64/Packages.gz';
const SID_DEB = 'pool/main/tool_2.0-1+b1_amd64.deb';

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-debian-'));
  const made = await makeKey();
  key = made.privateKey;
  keyring = path.join(folder, 'keyring.asc');
  writeFileSync(keyring, made.armored);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeEach(async () => {
  mirror = await startMirror(await makeArchive(SUITES, key));
  store = await Store.open(mkdtempSync(path.join(folder, 'store-')));
  warnings = [];
});
afterEach(() => mirror.close());

function context(more: Partial<DebianContext> = {}): DebianContext {
  return {
    store,
    progress: silentProgress,
    signal: new AbortController().signal,
    warn: (message) => void warnings.push(message),
    env: {},
    now: () => NOW,
    debian: { mirror: mirror.url, keyring, retryDelays: [1, 1, 1] },
    ...more,
  };
}

function fetchTool(more: Partial<DebianContext> = {}, suites = ['sid', 'trixie'], arch = 'amd64') {
  return fetchDebianPackage({ suites, arch, name: 'tool', context: context(more) });
}

describe('a good mirror', () => {
  test('gives the newest package of the first suite that has it, verified', async () => {
    const found = await fetchTool();
    expect(found).toMatchObject({
      name: 'tool',
      version: '2.0-1+b1',
      sourcePackage: 'toolbox',
      sourceVersion: '1:2.0-1',
      suite: 'sid',
      poolPath: SID_DEB,
      digest: `sha256:${sha256(mirror.files.get(SID_DEB) as Buffer)}`,
    });
    expect(readFileSync(found.file)).toEqual(mirror.files.get(SID_DEB));
    // By hash, so that an update of the mirror meanwhile does no harm.
    expect(mirror.requests[1]).toMatch(
      /^200 dists\/sid\/main\/binary-amd64\/by-hash\/SHA256\/[0-9a-f]{64}$/,
    );
    expect(mirror.requests).toHaveLength(3);
    expect(warnings).toEqual([]);
  });

  test('is asked only whether anything changed the second time', async () => {
    await fetchTool();
    mirror.requests.length = 0;
    await fetchTool();
    expect(mirror.requests).toEqual(['304 dists/sid/InRelease']);
  });

  test('is asked again for what the store lost', async () => {
    const { file, digest } = await fetchTool();
    rmSync(file);
    expect((await fetchTool()).digest).toBe(digest);
  });

  test('names of suites, patterns and tests of names all find it', async () => {
    for (const [suite, name] of [
      ['unstable', 'tool'],
      ['sid', /^TOO./i],
      ['sid', (each: string) => each === 'tool'],
    ] as const) {
      if (suite === 'unstable') {
        const release = mirror.files.get('dists/sid/InRelease') as Buffer;
        mirror.files.set('dists/unstable/InRelease', release);
        for (const [file, bytes] of [...mirror.files]) {
          if (file.startsWith('dists/sid/'))
            mirror.files.set(file.replace('/sid/', '/unstable/'), bytes);
        }
      }
      const found = await fetchDebianPackage({
        suites: [suite],
        arch: 'amd64',
        name,
        context: context(),
      });
      expect(found.version).toBe('2.0-1+b1');
    }
  });

  test('passes over suites that lack the CPU or the package', async () => {
    expect(await fetchTool({}, undefined, 'arm64')).toMatchObject({
      suite: 'trixie',
      version: '1.0',
    });
    expect(mirror.requests.filter((line) => line.includes('sid/main'))).toEqual([]);
    await expect(fetchTool({}, ['sid'], 'riscv64')).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_PACKAGE_NOT_FOUND',
      category: 'input',
    });
    const other = { suites: ['sid', 'trixie'], arch: 'amd64', name: 'nothing', context: context() };
    await expect(fetchDebianPackage(other)).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_PACKAGE_NOT_FOUND',
      message: expect.stringContaining('sid, trixie'),
    });
  });

  test('that does not know by-hash names is asked for the plain ones', async () => {
    const suites = SUITES.map((suite) => ({ ...suite, byHash: false }));
    for (const file of mirror.files.keys()) mirror.files.delete(file);
    for (const [file, bytes] of await makeArchive(suites, key)) mirror.files.set(file, bytes);
    await fetchTool();
    expect(mirror.requests[1]).toBe(`200 ${SID_INDEX}`);
  });

  test('is told by the environment as well', async () => {
    const env = { UPORT_DEBIAN_MIRROR: `${mirror.url}//`, UPORT_DEBIAN_KEYRING: keyring };
    expect(await fetchTool({ env, debian: {} })).toMatchObject({ suite: 'sid' });
  });
});

describe('a passing fault is survived', () => {
  const places = ['dists/sid/InRelease', /by-hash/, SID_DEB] as const;
  const ways: Readonly<Record<string, readonly Misbehaviour[]>> = {
    'status 500 twice': [status(500), status(500)],
    'status 429': [status(429)],
    'a dropped connection': [hangUp],
    'a connection that breaks off': [breakOff],
  };
  for (const place of places) {
    test.each(Object.keys(ways))(`${place}: %s`, async (way) => {
      mirror.misbehave(place, ...(ways[way] ?? []));
      expect(await fetchTool()).toMatchObject({ suite: 'sid' });
      expect(warnings).toEqual([]);
    });
  }

  test.each([
    ['a download cut off', cutOff],
    ['a wrong bit', flipBit],
    ['other bytes', otherBytes],
    ['an endless body', endless],
  ])('%s', async (_name, way) => {
    mirror.misbehave(SID_DEB, way);
    mirror.misbehave(/by-hash/, way);
    expect(await fetchTool()).toMatchObject({ suite: 'sid' });
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });

  test('a connection that falls silent', async () => {
    mirror.misbehave(SID_DEB, stall);
    const debian = { mirror: mirror.url, keyring, retryDelays: [1], stallTimeout: 300 };
    expect(await fetchTool({ debian })).toMatchObject({ suite: 'sid' });
  });

  test('a mirror in the middle of an update: the Release file is old, the indexes are new', async () => {
    // The store and whatever lies between still have the old Release file; its indexes are gone.
    const old = mirror.files.get('dists/sid/InRelease') as Buffer;
    const newer = { ...(SUITES[0] as FakeSuite), date: NOW, packages: { amd64: [tool('3.0')] } };
    for (const file of mirror.files.keys())
      if (file.startsWith('dists/sid')) mirror.files.delete(file);
    for (const [file, bytes] of await makeArchive([newer], key)) mirror.files.set(file, bytes);
    mirror.misbehave('dists/sid/InRelease', (_request, response) => void response.end(old));
    expect(await fetchTool()).toMatchObject({ suite: 'sid', version: '3.0' });
  });
});

describe('a lasting fault leads to the next suite', () => {
  const lasting = (way: Misbehaviour): Misbehaviour[] => Array.from({ length: 40 }, () => way);

  test.each([
    [
      'indexes of other sizes than the Release file names',
      () => {
        mirror.misbehave(/sid.*by-hash/, ...lasting(status(404)));
        mirror.files.set(SID_INDEX, Buffer.from('newer'));
      },
    ],
    ['indexes with wrong bytes', () => mirror.misbehave(/sid\/main/, ...lasting(flipBit))],
    ['packages that are gone', () => void mirror.files.delete(SID_DEB)],
    ['packages with wrong bytes', () => mirror.misbehave(SID_DEB, ...lasting(flipBit))],
    ['packages that break off', () => mirror.misbehave(SID_DEB, ...lasting(breakOff))],
    ['a server that fails', () => mirror.misbehave(/sid/, ...lasting(status(503)))],
    ['a Release file that is gone', () => void mirror.files.delete('dists/sid/InRelease')],
    [
      'a Release file of another suite',
      () => {
        mirror.files.set(
          'dists/sid/InRelease',
          mirror.files.get('dists/trixie/InRelease') as Buffer,
        );
      },
    ],
    ['an endless Release file', () => mirror.misbehave('dists/sid/InRelease', ...lasting(endless))],
  ])('%s', async (_name, spoil) => {
    spoil();
    expect(await fetchTool()).toMatchObject({ suite: 'trixie', version: '1.0' });
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });

  test('and to one error that names what was tried when none is left', async () => {
    mirror.misbehave(SID_DEB, ...lasting(flipBit));
    mirror.files.delete('dists/trixie/InRelease');
    const error = await fetchTool().catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'UPORT_DEBIAN_UNAVAILABLE', category: 'network' });
    const { message } = error as Error;
    expect(message).toContain('tool for amd64');
    expect(message).toContain(`sid: ${mirror.url}/${SID_DEB}: expected sha256:`);
    expect(message).toContain(`trixie: ${mirror.url} has no suite trixie`);
  });

  test('an index out of step with its Release file is told as such, and not tried again', async () => {
    mirror.misbehave(/by-hash/, ...lasting(status(404)));
    mirror.files.set(SID_INDEX, Buffer.from('newer'));
    await expect(fetchTool({}, ['sid'])).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_OUT_OF_STEP',
      message: expect.stringContaining('in the middle of an update'),
    });
    expect(mirror.requests.filter((line) => line.endsWith(SID_INDEX))).toHaveLength(1);
  });

  test('wrong bytes everywhere keep their code', async () => {
    mirror.misbehave(/deb$/, ...lasting(flipBit));
    await expect(fetchTool()).rejects.toMatchObject({
      code: 'UPORT_CHECKSUM_MISMATCH',
      category: 'network',
    });
  });
});

describe('a dead mirror', () => {
  test('is told, and tried once only', async () => {
    await mirror.close();
    await expect(fetchTool()).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_UNREACHABLE',
      message: expect.stringMatching(/tried sid, trixie: [^;]*ECONNREFUSED[^;]*$/),
      hint: expect.stringContaining('UPORT_DEBIAN_MIRROR'),
    });
    mirror = await startMirror(new Map());
  });

  test('is made up for by what the store kept, with a warning', async () => {
    const before = await fetchTool();
    const { url } = mirror;
    await mirror.close();
    const debian = { mirror: url, keyring, retryDelays: [1] };
    expect(await fetchTool({ debian })).toEqual(before);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('2026-03-01');
    mirror = await startMirror(new Map());
  });

  test('cannot make up for a package that the store has not', async () => {
    const { file } = await fetchTool();
    rmSync(file);
    const { url } = mirror;
    await mirror.close();
    const debian = { mirror: url, keyring, retryDelays: [1] };
    await expect(fetchTool({ debian }, ['sid'])).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_UNREACHABLE',
    });
    mirror = await startMirror(new Map());
  });
});

describe('signatures', () => {
  const only = (more: Partial<DebianContext> = {}) => fetchTool(more, ['sid']);
  const release = 'dists/sid/InRelease';

  test('of an unsigned Release file are missed', async () => {
    const text = (mirror.files.get(release) as Buffer).toString().split('\n\n')[1] as string;
    mirror.files.set(release, Buffer.from(text));
    await expect(only()).rejects.toMatchObject({ code: 'UPORT_DEBIAN_UNSIGNED' });
  });

  test('of a changed Release file do not hold', async () => {
    const text = (mirror.files.get(release) as Buffer).toString();
    mirror.files.set(release, Buffer.from(text.replace('Components: main', 'Components: evil')));
    await expect(only()).rejects.toMatchObject({ code: 'UPORT_DEBIAN_SIGNATURE_BAD' });
  });

  test('cover only the text between the marks', async () => {
    const text = (mirror.files.get(release) as Buffer).toString();
    const evil = releaseText({ codename: 'sid', packages: { amd64: [] } }, []);
    for (const spoiled of [
      `${evil}\n${text}`,
      `${text}\n${evil}`,
      text.replace('\n\n', `\n${evil}\n\n`),
    ]) {
      mirror.files.set(release, Buffer.from(spoiled));
      const result = await only().catch((error: { code: string }) => error.code);
      // Either it is refused or the signed text alone counts.
      if (typeof result === 'string') expect(result).toBe('UPORT_DEBIAN_SIGNATURE_BAD');
      else expect(result.version).toBe('2.0-1+b1');
    }
  });

  test('by a stranger do not count', async () => {
    const stranger = await makeKey();
    const files = await makeArchive(SUITES, stranger.privateKey);
    mirror.files.set(release, files.get(release) as Buffer);
    await expect(only()).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_SIGNATURE_BAD',
      hint: expect.stringContaining('UPORT_DEBIAN_KEYRING'),
    });
  });

  test('are looked at with Debian’s keys when no keyring is named', async () => {
    await expect(only({ debian: { mirror: mirror.url } })).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_SIGNATURE_BAD',
    });
  });

  test('by a key that has expired since do not count', async () => {
    const made = await makeKey({
      date: new Date(NOW.getTime() - 100 * 86400_000),
      keyExpirationTime: 101 * 86400,
    });
    writeFileSync(path.join(folder, 'expiring.asc'), made.armored);
    for (const [file, bytes] of await makeArchive(SUITES, made.privateKey))
      mirror.files.set(file, bytes);
    const debian = {
      mirror: mirror.url,
      keyring: path.join(folder, 'expiring.asc'),
      retryDelays: [],
    };
    expect(await only({ debian })).toMatchObject({ suite: 'sid' });
    const later = () => new Date(NOW.getTime() + 10 * 86400_000);
    await expect(only({ debian, now: later })).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_SIGNATURE_BAD',
      message: expect.stringContaining('expired'),
    });
  });

  test('of a file of the future, and a stale one', async () => {
    const past = () => new Date(NOW.getTime() - 5 * 86400_000);
    await expect(only({ now: past })).rejects.toMatchObject({
      code: expect.stringMatching(/^UPORT_DEBIAN_/),
    });
    const stale = { ...(SUITES[0] as FakeSuite), validUntil: new Date('2026-03-03T00:00:00Z') };
    for (const [file, bytes] of await makeArchive([stale], key)) mirror.files.set(file, bytes);
    await only();
    expect(warnings).toEqual([]);
    await only({ now: () => new Date('2026-03-04T00:00:00Z') });
    expect(warnings).toEqual([expect.stringContaining('2026-03-03')]);
  });

  test('need a keyring that can be read', async () => {
    writeFileSync(path.join(folder, 'rubbish'), 'rubbish');
    for (const name of ['rubbish', 'missing']) {
      const debian = { mirror: mirror.url, keyring: path.join(folder, name) };
      await expect(only({ debian })).rejects.toMatchObject({
        code: 'UPORT_DEBIAN_KEYRING_INVALID',
        file: path.join(folder, name),
      });
    }
  });

  test('with a nonsense date are refused', async () => {
    const text = releaseText(SUITES[0] as FakeSuite, []).replace(/^Date:.*$/m, 'Date: some day');
    mirror.files.set(release, Buffer.from(await signInline(text, key)));
    await expect(only()).rejects.toMatchObject({ code: 'UPORT_DEBIAN_RELEASE_INVALID' });
  });
});

test('the wish to stop ends a download and leaves nothing', async () => {
  const stop = new AbortController();
  mirror.misbehave(SID_DEB, (request, response, bytes) => {
    stall(request, response, bytes);
    setTimeout(() => stop.abort(new Error('enough')), 50);
  });
  await expect(fetchTool({ signal: stop.signal })).rejects.toThrow('enough');
  expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
});

test('progress is told in bytes and never goes back', async () => {
  mirror.misbehave(SID_DEB, breakOff, breakOff);
  const size = (mirror.files.get(SID_DEB) as Buffer).length;
  const told: number[] = [];
  const progress = {
    start: (label: string, total?: number, unit?: string) => ({
      advance: (units: number) => {
        if (label.startsWith('tool')) {
          expect([total, unit]).toEqual([size, 'bytes']);
          told.push(units);
        }
      },
      done() {},
    }),
  };
  await fetchTool({ progress });
  expect(told.every((units) => units > 0)).toBe(true);
  expect(told.reduce((sum, units) => sum + units, 0)).toBe(size);
});
