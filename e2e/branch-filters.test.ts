// What a launcher unpacks is what was packed, byte for byte, with the branch filter of each host's CPU:
// native builds that are made up of calls, taken out by each host's launcher (under QEMU for others).
import { chmodSync, existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildElf } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const HOSTS = [
  { host: 'x86_64', machine: 62, bits: 64, order: 'lsb' },
  { host: 'i386', machine: 3, bits: 32, order: 'lsb' },
  { host: 'aarch64', machine: 183, bits: 64, order: 'lsb' },
  { host: 'ppc64le', machine: 21, bits: 64, order: 'lsb' },
  { host: 's390x', machine: 22, bits: 64, order: 'msb' },
] as const;

/** Calls of each filtered CPU, and what looks like one. */
const PIECES = [
  [0xe8, 0x10, 0x20, 0x00, 0x00],
  [0xe9, 0xf0, 0xff, 0xff, 0xff],
  [0xe8, 0xe8, 0xe9, 0xff, 0x00],
  [0x01, 0x02, 0x00, 0x94],
  [0xff, 0xff, 0xff, 0x97],
  [0x05, 0x00, 0x00, 0x48],
  [0xfd, 0xff, 0xff, 0x4b],
  [0xc0, 0xe5, 0xff, 0xff, 0xff, 0xf0],
  [0xc0, 0x10, 0x00, 0x00, 0x10, 0x00],
  [0x90],
  [0x07, 0x07],
];

/** The same bytes each time; a size that ends inside a call. */
function code(seed: number, size: number): Buffer {
  const bytes = Buffer.alloc(size + 8);
  let state = seed;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 12) % below;
  };
  for (let at = 0; at < size; ) {
    // Stretches of what does not compress make blocks of every kind.
    const noise = next(4000) === 0 ? next(20_000) : 0;
    for (let i = 0; i < noise && at < size; i++) bytes[at++] = next(256);
    for (const byte of PIECES[next(PIECES.length)] as number[]) bytes[at++] = byte;
  }
  return bytes.subarray(0, size);
}

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  chmodSync(folder, 0o755);
});
afterAll(() => removeFolder(folder));

/** Builds one file per host with these native builds in it, and answers its folder. */
async function packed(name: string, level: number, slices: Readonly<Record<string, string>>) {
  const app = path.join(folder, name);
  await writeFile(app, buildElf({ machine: 15, bits: 32, order: 'msb' }), { mode: 0o755 });
  const outDir = path.join(folder, `${name}-dist`);
  const flags = Object.entries(slices).flatMap(([host, file]) => [
    ...['--host', host, '--slice', `${host}=${file}`],
  ]);
  const built = await uport([
    ...['build', app, '--emit', 'universal', '--per-host', '-o', outDir],
    ...['--compression-level', String(level), ...flags],
  ]);
  expect(built.stderr).toBe('');
  expect(built.status).toBe(0);
  return outDir;
}

const here = process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : '';

/** What the launcher in a host's file unpacks of the app. */
async function unpacked(outDir: string, name: string, host: string): Promise<Buffer> {
  const target = path.join(outDir, `unpacked-${host}`);
  const file = path.join(outDir, `${name}-${host}`);
  const qemu = host === here ? [] : [`/usr/bin/qemu-${host}-static`];
  const [command = '', ...args] = [...qemu, file];
  const ran = await start(command, args, { env: { UPORT_EXTRACT: target } });
  expect(ran).toMatchObject({ status: 0, stderr: '' });
  return readFile(path.join(target, 'root/app', name));
}

describe('native builds that are made up of calls', () => {
  const sources = new Map<string, Buffer>();
  let outDir: string;

  beforeAll(async () => {
    const slices: Record<string, string> = {};
    for (const [seed, { host, ...elf }] of HOSTS.entries()) {
      const bytes = Buffer.concat([buildElf(elf), code(seed, 1_100_003 + seed)]);
      sources.set(host, bytes);
      slices[host] = path.join(folder, host);
      await writeFile(slices[host], bytes, { mode: 0o755 });
    }
    outDir = await packed('calls', 19, slices);
  });

  describe.each(HOSTS)('for $host', ({ host }) => {
    const missing =
      host === here || existsSync(`/usr/bin/qemu-${host}-static`)
        ? undefined
        : 'apt-get install qemu-user-static';
    test.skipIf(missing)(named('come out as they were', missing), async () => {
      const found = await unpacked(outDir, 'calls', host);
      expect(found.equals(sources.get(host) as Buffer)).toBe(true);
      const validated = await uport(['validate', path.join(outDir, `calls-${host}`)]);
      expect(validated).toMatchObject({ status: 0 });
    });
  });
});

const EMULATOR = '/usr/bin/qemu-riscv64-static';
const lackingEmulator = existsSync(EMULATOR) ? undefined : 'apt-get install qemu-user-static';
test.skipIf(lackingEmulator)(
  named('an emulator of Debian 12 at level 19', lackingEmulator),
  async () => {
    const outDir = await packed('emulator', 19, { [here]: EMULATOR });
    const found = await unpacked(outDir, 'emulator', here);
    expect(found.equals(await readFile(EMULATOR))).toBe(true);
  },
);
