// Debian's box64 before QEMU, on simulated hosts and on their own kernels.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, compile, missingToolchains } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const missing =
  process.env.UPORT_TEST_BOX64 === undefined
    ? 'it downloads 200 MB and boots kernels: UPORT_TEST_BOX64=1 npx vitest run box64'
    : (missingToolchains('x86_64') ??
      missingTools('unshare', 'qemu-system-aarch64', 'qemu-system-riscv64'));

const SOURCE = `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static void *run(void *count) { printf("thread %d\\n", *(int *)count); return NULL; }
int main(int argc, char **argv) {
  pthread_t thread;
  (void)argv;
  if (argc == 1) return 0;
  pthread_create(&thread, NULL, run, &argc);
  pthread_join(thread, NULL);
  fflush(stdout);
  return system("echo from a shell; exit 3") >> 8;
}`;

describe.skipIf(missing)(named('box64 before QEMU', missing), () => {
  let folder: string;
  const at = (...parts: readonly string[]) => path.join(folder, ...parts);

  beforeAll(async () => {
    folder = await temporaryFolder();
    await writeFile(at('app.c'), SOURCE);
    const gcc = ['-O2', '-o', at('app'), at('app.c')];
    expect(await start('x86_64-linux-gnu-gcc', gcc)).toMatchObject({ status: 0 });
    const hosts = ['--host', 'amd64,arm64,riscv64', '--emulator', 'box64'];
    const made = await uport(
      [
        ...['build', at('app'), '--from-debian', 'bookworm', '--emit', 'universal,oci', ...hosts],
        ...['--compression-level', '1', '-o', at('out')],
      ],
      { seconds: 900 },
    );
    expect(made).toMatchObject({ status: 0 });
  }, 1_000_000);
  afterAll(() => removeFolder(folder));

  async function verify(...args: readonly string[]) {
    const done = await uport(['verify', '--json', ...args, '--', 'a'], { seconds: 900 });
    const { hosts } = JSON.parse(done.stdout) as {
      hosts: readonly { host: string; runs: string; fault: string | null; stderr: string }[];
    };
    return hosts.map(({ host, runs, fault, stderr }) => [host, runs, fault, stderr]);
  }
  const WORKS = ['aarch64', 'riscv64'].map((host) => [host, 'box64', null, '']);
  const HOSTS = ['--hosts', 'arm64,riscv64'];

  test('a universal file runs with it', async () => {
    expect(await verify(at('out/app'), ...HOSTS)).toEqual(WORKS);
  }, 600_000);

  test('and on the kernels of the hosts, where an image does too', async () => {
    expect(await verify(at('out/app'), '--kernel', ...HOSTS)).toEqual(WORKS);
    expect(await verify(at('out/oci'), '--kernel', ...HOSTS)).toEqual(WORKS);
  }, 2_000_000);

  test('one that does not start leaves the app to QEMU, a static app too', async () => {
    const plan = JSON.parse((await start('cat', [at('out/plan.json')])).stdout) as {
      hosts: { host: string; translator?: { files: { name: string; digest: string }[] } }[];
    };
    const { files } = plan.hosts.find(({ host }) => host === 'aarch64')?.translator ?? {
      files: [],
    };
    await mkdir(at('broken'));
    const store = cacheFolder('store');
    for (const { name, digest } of files) {
      // Its C library is a file that no loader takes.
      const from =
        name === 'libc.so.6' ? at('app.c') : path.join(store, 'blobs', digest.replace(':', '/'));
      expect(await start('cp', [from, at('broken', name)])).toMatchObject({ status: 0 });
    }
    const common = ['--host', 'amd64,arm64', '--emit', 'universal', '--compression-level', '1'];
    const from = ['--emulators', 'debian', '--emulators', `dir:${at('broken')}`];
    const build = (input: string, out: string, ...flags: readonly string[]) =>
      uport(['build', input, ...common, ...flags, '--emulator', 'box64', '-o', out], {
        seconds: 900,
      });
    // The first source that has it gives it.
    const broken = ['--from-debian', 'bookworm', ...from.slice(2), ...from.slice(0, 2)];
    expect(await build(at('app'), at('broken-out'), ...broken)).toMatchObject({ status: 0 });
    const fell = 'qemu-x86_64 (box64: its trial ended with 127)';
    expect(await verify(at('broken-out/app'), '--hosts', 'arm64')).toEqual([
      ['aarch64', fell, null, ''],
    ]);
    const program = await compile(at('app.c'), 'x86_64');
    const told = await build(program, at('static'));
    expect(told.stderr).toContain('is static: box64 runs dynamic programs of glibc');
    const file = at('static', path.basename(program));
    expect(await verify(file, '--hosts', 'arm64')).toEqual([
      ['aarch64', 'qemu-x86_64 (box64: static programs are not for it)', null, ''],
    ]);
  }, 2_000_000);
});
