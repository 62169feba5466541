import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { glueFiles } from '@uport/fatelf/files';
import { fixture, missingToolchains } from '@uport/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { build } from '../build.ts';
import { fatelf, oci } from '../emitters/index.ts';
import { parseArch } from '../model/arch.ts';
import { unpackPlatform } from '../oci/index.ts';
import { Store } from '../store/store.ts';

const LIBRARIES = {
  riscv64: '/usr/riscv64-linux-gnu/lib/libc.so.6',
  aarch64: '/usr/aarch64-linux-gnu/lib/libc.so.6',
  s390x: '/usr/s390x-linux-gnu/lib/libc.so.6',
} as const;
const missing =
  missingToolchains('riscv64', 'aarch64') ??
  (Object.values(LIBRARIES).every((file) => existsSync(file))
    ? undefined
    : 'needs apt-get install libc6-riscv64-cross libc6-arm64-cross libc6-s390x-cross');
if (missing !== undefined) console.warn(`resolve-fatelfs.test.ts: ${missing}`);

let folder = '';
const at = (name: string) => path.join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-fatelf-libraries-'));
  await mkdir(at('app/lib'), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function buildApp(guest: string, hosts: readonly string[], slices: readonly string[]) {
  await copyFile(await fixture('hello', guest), at('app/hello'));
  const builds = await Promise.all(slices.map((name) => fixture('hello', name)));
  const warnings: string[] = [];
  const result = await build({
    input: at('app'),
    entrypoint: ['hello'],
    emit: [oci()],
    outDir: at('out'),
    hosts: hosts.map(parseArch),
    slices: new Map(slices.map((name, i) => [parseArch(name), builds[i] as string])),
    store: await Store.open(at('store')),
    warn: (message) => warnings.push(message),
  });
  return { ...result, warnings };
}

async function unpacked(platform: string): Promise<Buffer> {
  const arch = parseArch(platform);
  if (arch.oci === undefined) throw new Error(platform);
  const target = at(`root-${platform}`);
  const { signal } = new AbortController();
  await unpackPlatform(at('out/oci'), arch.oci, target, { signal });
  return readFile(path.join(target, 'app/lib/libc.so.6'));
}

test.skipIf(missing)('each host gets its own library, byte for byte', async () => {
  await writeFile(at('data'), 'shared');
  await glueFiles(at('app/lib/libc.so.6'), Object.values(LIBRARIES), { trailing: at('data') });
  const { plan, warnings } = await buildApp('riscv64', ['riscv64', 'arm64'], ['aarch64']);
  const expected = (name: keyof typeof LIBRARIES) =>
    Buffer.concat([readFileSync(LIBRARIES[name]), Buffer.from('shared')]);
  expect((await unpacked('riscv64')).equals(expected('riscv64'))).toBe(true);
  expect((await unpacked('arm64')).equals(expected('aarch64'))).toBe(true);
  const entry = plan.payload.entries.find((one) => one.path === 'app/lib/libc.so.6');
  const digest = createHash('sha256').update(expected('riscv64')).digest('hex');
  expect(entry).toMatchObject({ digest: `sha256:${digest}`, size: expected('riscv64').length });
  const arm = plan.hosts.find((host) => host.host === 'aarch64');
  expect(arm?.way === 'native' && arm.slices.map((slice) => slice.path)).toEqual([
    'app/hello',
    'app/lib/libc.so.6',
  ]);
  expect(warnings).toEqual([]);
});

test.skipIf(missing)('a host that the library has nothing for is told', async () => {
  await glueFiles(at('app/lib/libc.so.6'), [LIBRARIES.riscv64, LIBRARIES.s390x]);
  const { warnings } = await buildApp('riscv64', ['riscv64', 'arm64'], ['aarch64']);
  expect(warnings).toEqual([expect.stringContaining('libc.so.6 has nothing for aarch64')]);
  expect((await unpacked('arm64')).equals(readFileSync(LIBRARIES.riscv64))).toBe(true);
});

test.skipIf(missing)('nothing for the guest is an error', async () => {
  await glueFiles(at('app/lib/libc.so.6'), [LIBRARIES.aarch64, LIBRARIES.s390x]);
  await expect(buildApp('riscv64', ['riscv64'], [])).rejects.toMatchObject({
    code: 'UPORT_FATELF_NO_GUEST',
    message: expect.stringContaining('aarch64, s390x'),
    where: 'app/lib/libc.so.6',
  });
});

test.skipIf(missing)('a damaged one is an error', async () => {
  await glueFiles(at('app/lib/libc.so.6'), [LIBRARIES.riscv64, LIBRARIES.s390x]);
  const bytes = await readFile(at('app/lib/libc.so.6'));
  await writeFile(at('app/lib/libc.so.6'), bytes.subarray(0, 70_000));
  await expect(buildApp('riscv64', ['riscv64'], [])).rejects.toMatchObject({
    code: 'UPORT_FATELF_OUT_OF_BOUNDS',
  });
});

test.skipIf(missing)('a universal file in the payload stays as it is', async () => {
  await build({
    input: await fixture('hello', 'riscv64'),
    name: 'tool',
    emit: [fatelf()],
    outDir: at('made'),
    hosts: [parseArch('riscv64')],
    store: await Store.open(at('store')),
  });
  await copyFile(at('made/tool.fatelf'), at('app/lib/libc.so.6'));
  await buildApp('riscv64', ['riscv64'], []);
  expect((await unpacked('riscv64')).equals(await readFile(at('made/tool.fatelf')))).toBe(true);
});

test.skipIf(missing)('more libraries than a universal file can hold are refused', async () => {
  await glueFiles(at('app/lib/a.so'), [LIBRARIES.riscv64, LIBRARIES.aarch64]);
  for (let i = 0; i < 64; i++) await copyFile(at('app/lib/a.so'), at(`app/lib/${i}.so`));
  await copyFile(await fixture('hello', 'riscv64'), at('app/hello'));
  await expect(
    build({
      input: at('app'),
      entrypoint: ['hello'],
      emit: [fatelf({ level: 1 })],
      outDir: at('out'),
      hosts: ['riscv64', 'arm64'].map(parseArch),
      slices: new Map([[parseArch('arm64'), await fixture('hello', 'aarch64')]]),
      store: await Store.open(at('store')),
    }),
  ).rejects.toMatchObject({ code: 'UPORT_TOO_MANY_SLICES' });
});
