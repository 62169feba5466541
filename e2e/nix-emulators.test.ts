import { copyFile, cp, mkdir, readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { Plan } from '@uport/core';
import { fixture, missingToolchains } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { nixIn, nixMissing } from './support/nix.ts';
import { copyNixSources } from './support/nix-closure.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { errorCode, uport } from './support/uport.ts';

const missing = nixMissing ?? missingTools('busybox') ?? missingToolchains('riscv64', 'x86_64');

describe.skipIf(missing)(named('emulators out of a Nix store', missing), () => {
  let folder: string;
  let app: string;
  let nix: ReturnType<typeof nixIn>;
  const paths = { all: '', dynamic: '' };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const source = await copyNixSources(folder);
    await mkdir(path.join(source, 'emulators'));
    const emulators = inject('emulators').replace(/^dir:/, '');
    for (const host of ['x86_64', 'aarch64']) {
      await mkdir(path.join(source, 'emulators', host));
      const program = path.join(host, 'qemu-riscv64');
      await cp(path.join(emulators, program), path.join(source, 'emulators', program));
    }
    await copyFile(process.execPath, path.join(source, 'dynamic'));
    nix = nixIn(path.join(folder, 'root'));
    for (const name of ['all', 'dynamic'] as const) {
      const args = ['--no-out-link', '-A', name, 'emulators.nix'];
      const built = await nix('nix-build', args, { cwd: source });
      expect(built, built.stderr).toMatchObject({ status: 0 });
      paths[name] = built.stdout.trim();
    }
    app = await fixture('probe', 'riscv64');
    const made = await build('store', `nix:${folder}/root${paths.all}`, ['amd64', 'arm64']);
    expect(made, made.stderr).toMatchObject({ status: 0 });
  });
  afterAll(() => removeFolder(folder));

  const build = (
    outDir: string,
    emulators: string,
    hosts: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) => {
    const out = ['--emit', 'oci', '-o', path.join(folder, outDir), '--compression-level', '1'];
    const args = ['--emulators', emulators, ...hosts.flatMap((host) => ['--host', host])];
    return uport(['build', app, ...out, ...args], { env });
  };
  const planOf = async (outDir: string): Promise<Plan> =>
    JSON.parse(await readFile(path.join(folder, outDir, 'plan.json'), 'utf8'));

  test('are found through a store path of links, and pinned by path and hash', async () => {
    for (const host of (await planOf('store')).hosts) {
      const origin = 'emulator' in host ? host.emulator.origin : undefined;
      if (origin?.provider !== 'nix') throw new Error(`${host.host} has no emulator of Nix`);
      expect(origin).toMatchObject({ file: 'bin/qemu-riscv64' });
      expect(origin.storePath).toContain(`qemu-user-static-${host.host}`);
      const args = ['--query', '--hash', origin.storePath];
      const { stdout } = await nix('nix-store', args);
      const sri = await nix('nix', ['hash', 'to-sri', stdout.trim()]);
      expect(origin.narHash).toBe(sri.stdout.trim());
    }
  });

  test('are found in a profile, of which nothing else is read', async () => {
    const home = path.join(folder, 'home');
    const profile = path.join(home, '.nix-profile/bin');
    await mkdir(profile, { recursive: true });
    const wanted = (await planOf('store')).hosts.find(({ host }) => host === 'x86_64');
    const origin = wanted && 'emulator' in wanted ? wanted.emulator.origin : undefined;
    if (origin?.provider !== 'nix') throw new Error('there is no emulator of Nix');
    const place = path.join(folder, 'root', origin.storePath, 'bin/qemu-riscv64');
    await symlink(place, path.join(profile, 'qemu-riscv64'));
    await symlink(`/nix/store/${'0'.repeat(32)}-gone/bin/other`, path.join(profile, 'other'));
    const built = await build('profile', 'nix', ['amd64'], { HOME: home });
    expect(built, built.stderr).toMatchObject({ status: 0 });
    const [host] = (await planOf('profile')).hosts;
    expect(host).toMatchObject({ emulator: { origin } });
    const none = await build('no', 'nix', ['riscv64', 's390x'], { HOME: home });
    expect(errorCode(none)).toBe('UPORT_HOST_UNSUPPORTED');
  });

  test('come out of a binary cache, whose key must be known', async () => {
    const key = path.join(folder, 'key');
    await nix('nix-store', ['--generate-binary-cache-key', 'test-1', key, `${key}.pub`]);
    const cache = `file://${folder}/cache`;
    const to = `${cache}?secret-key=${key}&compression=zstd`;
    expect(await nix('nix', ['copy', '--to', to, paths.all])).toMatchObject({ status: 0 });
    const trusted = encodeURIComponent(await readFile(`${key}.pub`, 'utf8'));
    const from = `nix:${cache}?trusted-public-keys=${trusted}#${paths.all}`;
    expect(await build('cached', from, ['amd64'])).toMatchObject({ status: 0 });
    const store = await planOf('store');
    expect((await planOf('cached')).hosts).toEqual(
      store.hosts.filter(({ host }) => host === 'x86_64'),
    );
    const untrusted = await build('no', `nix:${cache}#${paths.all}`, ['amd64']);
    expect(errorCode(untrusted)).toBe('UPORT_NIX_UNTRUSTED');
  });

  test('must be static', async () => {
    const refused = await build('no', `nix:${folder}/root${paths.dynamic}`, ['amd64']);
    expect(errorCode(refused)).toBe('UPORT_EMULATOR_NOT_STATIC');
    expect(refused.stderr).toContain('pkgsStatic.qemu-user');
  });
});
