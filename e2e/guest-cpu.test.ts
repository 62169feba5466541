import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hostArch } from '@uport/core';
import { compile, missingToolchains } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { blobFile, readImages } from './support/layout.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named } from './support/tools.ts';
import { errorCode, uport } from './support/uport.ts';

/** SVE and the cryptographic instructions are what the CPUs of the tests differ in. */
const SOURCE = `#include <stdio.h>
#include <sys/auxv.h>
int main(void) {
  unsigned long has = getauxval(AT_HWCAP);
  printf("sve %lu aes %lu\\n", has >> 22 & 1, has >> 3 & 1);
  return 0;
}`;

const missing =
  missingToolchains('aarch64') ??
  (hostArch().name === 'aarch64' ? 'here the program runs without an emulator' : undefined);

describe.skipIf(missing)(named('--cpu', missing), () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeFile(path.join(folder, 'features.c'), SOURCE);
    program = await compile(path.join(folder, 'features.c'), 'aarch64');
  });
  afterAll(() => removeFolder(folder));

  const build = (name: string, ...flags: readonly string[]) => {
    const out = ['-o', path.join(folder, name), '--name', 'app', '--compression-level', '1'];
    return uport(['build', program, ...out, '--host', 'amd64,arm64', ...offlineFlags(), ...flags]);
  };

  test('reaches the program through a universal file and an image', async () => {
    const emit = ['--emit', 'universal', '--emit', 'oci'];
    expect(await build('told', ...emit, '--cpu', 'cortex-a53')).toMatchObject({ status: 0 });
    const run = spawnSync(path.join(folder, 'told/app'), {
      encoding: 'utf8',
      env: { ...process.env, UPORT_CACHE_DIR: path.join(folder, 'cache') },
    });
    expect(run.stdout).toBe('sve 0 aes 1\n');
    const images = await readImages(path.join(folder, 'told/oci'));
    const image = images.find(({ platform }) => platform === 'linux/amd64');
    const layer = image?.manifest.layers.at(-1);
    const manifest = spawnSync(
      'tar',
      [
        ...['-xzOf', blobFile(path.join(folder, 'told/oci'), layer?.digest as string)],
        '.uport/manifest',
      ],
      { encoding: 'utf8' },
    );
    expect(manifest.stdout).toMatch(/^emulator aarch64 .* qemu-aarch64 -cpu cortex-a53$/m);
    const plan = JSON.parse(await readFile(path.join(folder, 'told/plan.json'), 'utf8'));
    expect(plan.hosts.map(({ host, cpu }: { host: string; cpu?: string }) => [host, cpu])).toEqual([
      ['x86_64', 'cortex-a53'],
      ['aarch64', undefined],
    ]);
  });

  test('of uport run, with features', async () => {
    const run = (...flags: readonly string[]) =>
      uport(['run', ...offlineFlags(), ...flags, program]);
    expect((await run()).stdout).toBe('sve 1 aes 1\n');
    expect((await run('--cpu', 'max,sve=off')).stdout).toBe('sve 0 aes 1\n');
    expect((await run('--cpu', 'help')).stdout).toContain('cortex-a53');
  });

  test('that no emulator knows is refused', async () => {
    const wrong = await build('wrong', '--emit', 'universal', '--cpu', 'cortex-a1000');
    expect([errorCode(wrong), wrong.stderr]).toEqual([
      'UPORT_CPU_UNKNOWN',
      expect.stringContaining('for x86_64 knows no CPU cortex-a1000'),
    ]);
    expect(errorCode(await build('wrong', '--cpu', 'a b'))).toBe('UPORT_CPU_UNKNOWN');
  });
});
