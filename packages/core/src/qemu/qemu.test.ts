import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildElf } from '@uport/elf/testing';
import type { PrivateKey } from 'openpgp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakePackage, makeArchive, makeKey, NOW } from '../debian/testing/archive.ts';
import { flipBit, startMirror, status, type TestMirror } from '../debian/testing/server.ts';
import { type Arch, DEFAULT_HOSTS, parseArch } from '../model/arch.ts';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/index.ts';
import { compareQemuVersions, readEmulatorFile } from './emulator-file.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';
import { findEmulators, parseEmulatorProvider } from './providers.ts';

const riscv64 = parseArch('riscv64');
const [amd64, arm64, armhf] = ['amd64', 'arm64', 'armhf'].map(parseArch) as [Arch, Arch, Arch];
let folder: string;
let store: Store;
let warnings: string[];

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-qemu-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  store = await Store.open(mkdtempSync(path.join(folder, 'store-')));
  warnings = [];
});

function context(more: Partial<ProviderContext> = {}): ProviderContext {
  return {
    store,
    progress: silentProgress,
    signal: new AbortController().signal,
    warn: (message) => void warnings.push(message),
    env: {},
    now: () => NOW,
    ...more,
  };
}

/** A program of that host that says it is QEMU. */
function emulator(host: Arch, guest: string, version: string, dynamic = false): Uint8Array {
  const { flags, ...machine } = host.elf;
  return buildElf({
    ...machine,
    flags: flags?.value ?? 0,
    ...(dynamic && { interpreter: '/lib/ld.so', dynamic: { needed: ['libc.so.6'] } }),
    body: Buffer.from(
      `\0version 9.9.9\0qemu-${guest} version ${version} (Debian 1:${version}+ds-1)\n\0`,
    ),
  });
}

describe('what an emulator is', () => {
  test('is read out of its bytes, wherever they lie', async () => {
    const file = path.join(folder, 'emulator');
    for (const before of [0, (1 << 20) - 200, (1 << 20) - 110, (1 << 20) - 90]) {
      const body = Buffer.concat([
        Buffer.alloc(before),
        Buffer.from('qemu-mipsn32el version 10.0.13'),
      ]);
      writeFileSync(file, buildElf({ machine: 62, bits: 64, order: 'lsb', body }));
      const read = await readEmulatorFile(file);
      // A number at the very end may go on, so it does not count.
      expect(read.banner).toBeUndefined();
      writeFileSync(
        file,
        buildElf({
          machine: 62,
          bits: 64,
          order: 'lsb',
          body: Buffer.concat([body, Buffer.from('\n')]),
        }),
      );
      expect(await readEmulatorFile(file)).toEqual({
        host: amd64,
        linkage: 'static',
        banner: { guest: 'mipsn32el', version: '10.0.13' },
      });
    }
  });

  const installed = ['aarch64', 'm68k', 'ppc64le', 'sh4eb', 'x86_64']
    .flatMap((guest) => [`/usr/bin/qemu-${guest}-static`, `/usr/bin/qemu-${guest}`])
    .filter(existsSync);
  test.skipIf(installed.length === 0)(
    'agrees with what real ones print (needs some: apt-get install qemu-user-static)',
    async () => {
      for (const file of installed) {
        const printed = spawnSync(file, ['--version'], { encoding: 'latin1' }).stdout;
        const { banner, host } = await readEmulatorFile(file);
        expect(printed.startsWith(`qemu-${banner?.guest} version ${banner?.version} (`)).toBe(true);
        expect(host?.node).toBe(process.arch);
      }
    },
  );

  test('versions are compared by number', () => {
    const sorted = [
      '7.2',
      '7.2.22',
      '9.2.4',
      '10.0.0-rc1',
      '10.0.0-rc10',
      '10.0',
      '10.0.2',
      '11.1.2',
      '11.1.10',
    ];
    expect([...sorted].reverse().sort(compareQemuVersions)).toEqual(sorted);
    expect(compareQemuVersions('10.0', '10.0.0')).toBe(0);
  });
});

describe('dir:', () => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(path.join(folder, 'dir-'));
  });

  function place(file: string, bytes: Uint8Array | string): void {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), bytes);
  }

  const find = (host: Arch, guest = riscv64) =>
    parseEmulatorProvider(`dir:${dir}`).find(guest, host, context());

  test.each([
    'qemu-riscv64',
    'qemu-riscv64-static',
    'bin/qemu-riscv64',
    'usr/bin/qemu-riscv64-static',
    'aarch64/qemu-riscv64',
    'arm64/bin/qemu-riscv64-static',
    'aarch64-linux-gnu/qemu-riscv64',
    'qemu-riscv64-arm64',
    'qemu-riscv64-static-aarch64',
    'bin/qemu-riscv64-aarch64-static',
  ])('finds %s', async (file) => {
    const bytes = emulator(arm64, 'riscv64', '10.0.2');
    place(file, bytes);
    const found = await find(arm64);
    expect(found).toMatchObject({
      kind: 'qemu',
      host: 'aarch64',
      guest: 'riscv64',
      version: '10.0.2',
      size: bytes.length,
      origin: { provider: 'dir', file },
    });
    expect(readFileSync(store.locate(found?.digest as never) as string)).toEqual(
      Buffer.from(bytes),
    );
    expect(await find(amd64)).toBeUndefined();
    expect(await find(arm64, parseArch('m68k'))).toBeUndefined();
  });

  test('takes the newest of several, and lets the bytes decide, not the names', async () => {
    place('qemu-riscv64', emulator(amd64, 'riscv64', '10.0.2'));
    place('bin/qemu-riscv64', emulator(arm64, 'riscv64', '9.2.4'));
    place('aarch64/bin/qemu-riscv64', emulator(arm64, 'riscv64', '10.1.0'));
    place('arm64/qemu-riscv64', emulator(arm64, 'riscv64', '10.0.50'));
    expect(await find(arm64)).toMatchObject({
      version: '10.1.0',
      origin: { file: 'aarch64/bin/qemu-riscv64' },
    });
  });

  test('passes over scripts and folders of that name', async () => {
    place('qemu-riscv64', '#!/bin/sh\nexec true\n');
    mkdirSync(path.join(dir, 'qemu-riscv64-static'));
    expect(await find(amd64)).toBeUndefined();
    place('bin/qemu-riscv64', emulator(amd64, 'riscv64', '10.0.2'));
    expect(await find(amd64)).toMatchObject({ version: '10.0.2' });
  });

  test('refuses a dynamic build, another program, and a damaged one', async () => {
    place('qemu-riscv64', emulator(amd64, 'riscv64', '10.0.2', true));
    await expect(find(amd64)).rejects.toMatchObject({
      code: 'UPORT_EMULATOR_NOT_STATIC',
      file: path.join(dir, 'qemu-riscv64'),
    });
    place('qemu-riscv64', emulator(amd64, 'm68k', '10.0.2'));
    await expect(find(amd64)).rejects.toMatchObject({ code: 'UPORT_EMULATOR_WRONG' });
    place('qemu-riscv64', buildElf({ machine: 62, bits: 64, order: 'lsb' }));
    await expect(find(amd64)).rejects.toMatchObject({ code: 'UPORT_EMULATOR_WRONG' });
    place('qemu-riscv64', emulator(amd64, 'riscv64', '10.0.2').subarray(0, 40));
    await expect(find(amd64)).rejects.toMatchObject({ code: 'UPORT_ELF_TRUNCATED' });
    // A good one beside it is enough.
    place('qemu-riscv64-static', emulator(amd64, 'riscv64', '10.0.2'));
    expect(await find(amd64)).toMatchObject({ version: '10.0.2' });
    expect(readdirSync(path.join(store.root, 'blobs/sha256'))).toHaveLength(1);
  });

  test('a folder that is not there is told', async () => {
    const provider = parseEmulatorProvider(`dir:${dir}/missing`);
    await expect(provider.find(riscv64, amd64, context())).rejects.toMatchObject({
      code: 'UPORT_EMULATOR_FOLDER_MISSING',
      category: 'usage',
    });
  });

  test.skipIf(!existsSync('/usr/bin/qemu-riscv64-static'))(
    'finds real ones (needs some: apt-get install qemu-user-static)',
    async () => {
      copyFileSync('/usr/bin/qemu-riscv64-static', path.join(dir, 'qemu-riscv64-static'));
      const host = parseArch(process.arch);
      expect(await find(host)).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    },
  );
});

describe('debian:', () => {
  let key: PrivateKey;
  let keyring: string;
  let mirror: TestMirror;

  const modern = (version: string, host: Arch, guests = ['riscv64', 'm68k']): FakePackage => ({
    name: 'qemu-user',
    version: `1:${version}+ds-1`,
    source: 'qemu',
    files: Object.fromEntries(
      guests.map((guest) => [`./usr/bin/qemu-${guest}`, emulator(host, guest, version)]),
    ),
  });
  const empty = (version: string): FakePackage => ({
    name: 'qemu-user-static',
    version: `1:${version}+ds-1`,
    source: 'qemu',
    depends: `qemu-user (>= 1:${version}+ds-1), qemu-user-binfmt`,
    files: {},
  });
  const classic = (version: string, host: Arch): readonly FakePackage[] => [
    {
      name: 'qemu-user',
      version: '1:7.2+dfsg-7',
      source: 'qemu',
      depends: 'libc6 (>= 2.34), zlib1g',
      files: { './usr/bin/qemu-riscv64': emulator(host, 'riscv64', version, true) },
    },
    {
      name: 'qemu-user-static',
      version: '1:7.2+dfsg-7',
      source: 'qemu',
      files: { './usr/bin/qemu-riscv64-static': emulator(host, 'riscv64', version) },
    },
  ];

  beforeAll(async () => {
    const made = await makeKey();
    key = made.privateKey;
    keyring = path.join(folder, 'keyring.asc');
    writeFileSync(keyring, made.armored);
  });
  beforeEach(async () => {
    const suites = [
      {
        codename: 'sid',
        packages: { amd64: [modern('11.1.3', amd64)], armhf: [modern('10.2.2', armhf, ['m68k'])] },
      },
      {
        codename: 'trixie',
        packages: {
          amd64: [modern('10.0.13', amd64), empty('10.0.13')],
          arm64: [empty('10.0.13'), modern('10.0.13', arm64)],
        },
      },
      {
        codename: 'bookworm',
        packages: { amd64: classic('7.2.22', amd64), armhf: classic('7.2.22', armhf) },
      },
    ];
    mirror = await startMirror(await makeArchive(suites, key));
  });
  afterEach(() => mirror.close());

  const debianContext = (more: Partial<ProviderContext> = {}) =>
    context({ debian: { mirror: mirror.url, keyring, retryDelays: [1] }, ...more });
  const find = (host: Arch, spec = 'debian', guest = riscv64) =>
    parseEmulatorProvider(spec).find(guest, host, debianContext());

  test('takes the newest, and tells where from', async () => {
    expect(await find(amd64)).toEqual({
      kind: 'qemu',
      host: 'x86_64',
      guest: 'riscv64',
      version: '11.1.3',
      digest: expect.stringMatching(/^sha256:/),
      size: emulator(amd64, 'riscv64', '11.1.3').length,
      origin: {
        provider: 'debian',
        suite: 'sid',
        package: 'qemu-user',
        packageVersion: '1:11.1.3+ds-1',
        sourcePackage: 'qemu',
        sourceVersion: '1:11.1.3+ds-1',
        packagePath: 'pool/main/qemu-user_11.1.3+ds-1_amd64.deb',
        packageDigest: expect.stringMatching(/^sha256:/),
        packageSize: expect.any(Number),
      },
    });
  });

  test('knows which package of a suite is the static one', async () => {
    expect(await find(arm64)).toMatchObject({
      version: '10.0.13',
      origin: { package: 'qemu-user', suite: 'trixie' },
    });
    expect(await find(amd64, 'debian:bookworm')).toMatchObject({
      version: '7.2.22',
      origin: { package: 'qemu-user-static' },
    });
  });

  test('takes an older suite’s where the newer package lacks the guest', async () => {
    expect(await find(armhf)).toMatchObject({ version: '7.2.22', origin: { suite: 'bookworm' } });
    expect(await find(armhf, 'debian', parseArch('m68k'))).toMatchObject({ version: '10.2.2' });
    expect(await find(armhf, 'debian:sid')).toBeUndefined();
    // What a package lacks is remembered: it is not unpacked again.
    mirror.requests.length = 0;
    await find(armhf);
    expect(mirror.requests.filter((line) => !line.endsWith('/InRelease'))).toEqual([]);
  });

  test('answers nothing for hosts and guests that no suite has', async () => {
    expect(await find(parseArch('s390x'))).toBeUndefined();
    expect(await find(parseArch('or1k'))).toBeUndefined();
    expect(await find(amd64, 'debian', parseArch('hexagon'))).toBeUndefined();
  });

  test('a mirror with no suite at all is told, whatever it is', async () => {
    mirror.files.clear();
    await expect(find(amd64)).rejects.toMatchObject({ code: 'UPORT_DEBIAN_SUITE_MISSING' });
  });

  test('a second time only asks whether anything changed, and works with a dead mirror', async () => {
    const first = await find(amd64);
    mirror.requests.length = 0;
    expect(await find(amd64)).toEqual(first);
    expect(mirror.requests).toEqual(['304 dists/sid/InRelease']);
    const { url } = mirror;
    await mirror.close();
    const debian = { mirror: url, keyring, retryDelays: [1] };
    expect(
      await parseEmulatorProvider('debian').find(riscv64, amd64, debianContext({ debian })),
    ).toEqual(first);
    expect(warnings).toHaveLength(1);
    mirror = await startMirror(new Map());
  });

  test('a suite that fails is passed over, with a warning', async () => {
    const lasting = Array.from({ length: 20 }, () => flipBit);
    mirror.misbehave(/11\.1\.3/, ...lasting);
    expect(await find(amd64)).toMatchObject({ version: '10.0.13' });
    expect(warnings).toEqual([
      expect.stringMatching(/sid was passed over for x86_64.*10\.0\.13.*expected sha256/),
    ]);
  });

  test('fails, naming what was tried, when nothing is left', async () => {
    mirror.misbehave(/./, ...Array.from({ length: 100 }, () => status(503)));
    await expect(find(amd64)).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_SERVER_ERROR',
      message: expect.stringMatching(
        /qemu-riscv64 for x86_64.*sid:.*trixie:.*bookworm-backports:.*bookworm:/,
      ),
    });
  });

  test('refuses what is not static or of another host', async () => {
    const packages = {
      amd64: [
        {
          ...modern('12.0.0', amd64),
          files: { './usr/bin/qemu-riscv64': emulator(amd64, 'riscv64', '12.0.0', true) },
        },
      ],
      arm64: [modern('12.0.0', amd64)],
    };
    for (const [file, bytes] of await makeArchive([{ codename: 'forky', packages }], key))
      mirror.files.set(file, bytes);
    await expect(find(amd64, 'debian:forky')).rejects.toMatchObject({
      code: 'UPORT_EMULATOR_NOT_STATIC',
      message: expect.stringContaining('pool/main/qemu-user_12.0.0+ds-1_amd64.deb'),
    });
    await expect(find(arm64, 'debian:forky')).rejects.toMatchObject({
      code: 'UPORT_EMULATOR_WRONG',
    });
  });

  test('findEmulators: the newest of all providers wins, hosts without are absent', async () => {
    const dir = mkdtempSync(path.join(folder, 'dir-'));
    writeFileSync(path.join(dir, 'qemu-riscv64-arm64'), emulator(arm64, 'riscv64', '10.0.50'));
    writeFileSync(path.join(dir, 'qemu-riscv64-amd64'), emulator(amd64, 'riscv64', '11.1.3'));
    const providers = [`dir:${dir}`, 'debian'].map(parseEmulatorProvider);
    const found = await findEmulators(
      riscv64,
      [arm64, parseArch('s390x'), amd64, armhf],
      providers,
      debianContext(),
    );
    expect(
      [...found].map(([host, { version, origin }]) => [host, version, origin.provider]),
    ).toEqual([
      ['aarch64', '10.0.50', 'dir'],
      ['x86_64', '11.1.3', 'dir'],
      ['arm', '7.2.22', 'debian'],
    ]);
    // Hosts share the suites' Release files.
    const releases = mirror.requests.filter((line) => line.endsWith('/InRelease'));
    expect(new Set(releases).size).toBe(releases.length);
  });

  test('findEmulators: one provider may fail while another serves', async () => {
    const providers = ['dir:/nowhere/at/all', 'debian'].map(parseEmulatorProvider);
    const found = await findEmulators(riscv64, [amd64], providers, debianContext());
    expect(found.get('x86_64')).toMatchObject({ version: '11.1.3' });
    expect(warnings).toEqual([expect.stringContaining('/nowhere/at/all')]);
    await expect(
      findEmulators(riscv64, [amd64], providers.slice(0, 1), debianContext()),
    ).rejects.toMatchObject({
      code: 'UPORT_EMULATOR_FOLDER_MISSING',
    });
  });

  test('findEmulators: the first failure ends the other hosts’ work', async () => {
    const started: string[] = [];
    const provider: EmulatorProvider = {
      name: 'test',
      find: async (_guest, host, { signal }) => {
        started.push(host.name);
        if (host === amd64) throw new TypeError('a bug');
        await new Promise((_resolve, reject) => {
          if (signal.aborted) reject(signal.reason);
          signal.addEventListener('abort', () => reject(signal.reason));
        });
        return undefined;
      },
    };
    await expect(
      findEmulators(riscv64, DEFAULT_HOSTS, [provider], debianContext()),
    ).rejects.toThrow('a bug');
    expect(started.length).toBeLessThan(DEFAULT_HOSTS.length);
  });
});

test.each(['', 'debian:', 'debian:Sid/..', 'dir', 'dir:'])('%j is no provider', (spec) => {
  expect(() => parseEmulatorProvider(spec)).toThrow(
    expect.objectContaining({ code: 'UPORT_PROVIDER_UNKNOWN', category: 'usage' }),
  );
});
