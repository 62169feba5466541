import { chmod, copyFile, mkdir, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compile, emulatorFolder, missingHost, missingToolchains } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const missing =
  missingToolchains('riscv64', 'aarch64', 'x86_64') ?? missingTools('unshare', 'mount');

const SOURCES = {
  app: `#include <stdio.h>
int main(int argc, char **argv) { return printf("hello %s\\n", argv[argc - 1]) < 0 ? 1 : 3; }`,
  broken: 'int main(void) { return *(volatile int *)16; }',
  library: 'int answer(void) { return 3; }',
  needing: `#include <stdio.h>
int answer(void);
int main(int argc, char **argv) { printf("hello %s\\n", argv[argc - 1]); return answer(); }`,
};

const HOSTS = ['--host', 'amd64,arm64,riscv64,s390x'];

interface Verdict {
  readonly host: string;
  readonly way: string;
  readonly runs: string;
  readonly status: number;
  readonly fault: string | null;
}

describe.skipIf(missing)(named('uport verify', missing), () => {
  let folder: string;
  let emulators: readonly string[];
  const at = (...parts: readonly string[]) => path.join(folder, ...parts);

  beforeAll(async () => {
    folder = await temporaryFolder();
    const found = await emulatorFolder(
      ['aarch64', 'riscv64', 's390x', 'x86_64'],
      AbortSignal.timeout(200_000),
    );
    emulators = ['--emulators', `dir:${found}`];
    for (const [name, text] of Object.entries(SOURCES)) await writeFile(at(`${name}.c`), text);
    // The app travels with a loader and a C library of the CPU whose native build needs more.
    await mkdir(at('vendor/bin'), { recursive: true });
    await mkdir(at('vendor/lib'));
    await copyFile(await compile(at('app.c'), 'riscv64'), at('vendor/bin/app'));
    await chmod(at('vendor/bin/app'), 0o755);
    const libraries = '/usr/aarch64-linux-gnu/lib';
    for (const name of ['ld-linux-aarch64.so.1', 'libc.so.6']) {
      await copyFile(await realpath(path.join(libraries, name)), at('vendor/lib', name));
      await chmod(at('vendor/lib', name), 0o755);
    }
    const gcc = (...args: readonly string[]) =>
      start('aarch64-linux-gnu-gcc', args, { cwd: folder });
    const library = ['-shared', '-fPIC', '-Wl,-soname,libanswer.so.7', '-o', 'libanswer.so'];
    const inside = '-Wl,-rpath,/app/lib,--dynamic-linker=/app/lib/ld-linux-aarch64.so.1';
    expect(await gcc(...library, 'library.c')).toMatchObject({ status: 0 });
    expect(await gcc('-o', 'needing', 'needing.c', 'libanswer.so', inside)).toMatchObject({
      status: 0,
    });
  }, 240_000);
  afterAll(() => removeFolder(folder));

  async function build(name: string, input: string, ...flags: readonly string[]) {
    const common = ['-o', at(name), '--name', 'app', ...HOSTS, '--compression-level', '1'];
    const made = await uport(['build', input, ...common, ...emulators, ...flags]);
    expect(made).toMatchObject({ status: 0 });
  }

  async function verify(...args: readonly string[]) {
    // A kernel of its own may take four minutes on a busy machine.
    const seconds = args.includes('--kernel') ? 420 : 120;
    const finished = await uport(['verify', '--json', ...emulators, ...args], { seconds });
    const { hosts } = JSON.parse(finished.stdout) as { hosts: readonly Verdict[] };
    const faults = Object.fromEntries(
      hosts.flatMap(({ host, fault }) => (fault === null ? [] : [[host, fault]])),
    );
    return { status: finished.status, hosts, faults };
  }

  test('finds a broken slice of a universal, FatELF and Nix file, on its host alone', async () => {
    const slice = `arm64=${await compile(at('broken.c'), 'aarch64')}`;
    const emit = ['universal', 'fatelf', 'nix'].flatMap((each) => ['--emit', each]);
    await build('broken', at('vendor/bin/app'), ...emit, '--slice', slice);
    const all = await verify(at('broken/app'), '--', 'you');
    expect(all.status).toBe(6);
    expect(all.hosts.map(({ host, runs, status }) => [host, runs, status])).toEqual(
      expect.arrayContaining([
        ['x86_64', 'qemu-riscv64', 3],
        ['aarch64', 'native build', 139],
        ['riscv64', 'directly', 3],
        ['s390x', 'qemu-riscv64', 3],
      ]),
    );
    expect(Object.keys(all.faults)).toEqual(['aarch64']);
    expect(all.faults.aarch64).toMatch(/^status 139 \(SIGSEGV\) instead of 3/);
    // Also when nothing but the broken one is asked for.
    const alone = await verify(at('broken/app'), '--hosts', 'arm64', '--', 'you');
    expect(alone).toMatchObject({ status: 6, faults: { aarch64: expect.stringMatching(/139/) } });
    for (const artifact of ['broken/app.fatelf', 'broken/nix']) {
      const expected = ['--hosts', 'arm64,s390x', '--expect-status', '3'];
      const some = await verify(at(artifact), ...expected, '--', 'you');
      expect([artifact, Object.keys(some.faults)]).toEqual([artifact, ['aarch64']]);
    }
  });

  test('finds a library that an image lacks, on its host alone', async () => {
    const slice = ['--slice', `arm64=${at('needing')}`, '--entrypoint', 'bin/app'];
    await build('lacking', at('vendor'), '--emit', 'oci', ...slice);
    const { status, faults } = await verify(at('lacking/oci'), '--', 'you');
    expect(status).toBe(6);
    expect(faults).toEqual({
      aarch64: 'status 127 instead of 3: the library libanswer.so.7 is missing',
    });
  });

  test('takes a crash for what is expected only when told so', async () => {
    const program = await compile(at('broken.c'), 'riscv64');
    const alone = await verify(program);
    expect(alone.status).toBe(6);
    expect(alone.faults.riscv64).toContain('--expect-status 139');
    expect(await verify(program, '--expect-status', '139')).toMatchObject({ status: 0 });
  });

  test('compares with what is given', async () => {
    await writeFile(at('right'), 'hello you\n');
    await writeFile(at('wrong'), 'hello me\n');
    const program = at('vendor/bin/app');
    const status = ['--expect-status', '3'];
    const right = await verify(program, '--expect', at('right'), ...status, '--', 'you');
    expect(right).toMatchObject({ status: 0, faults: {} });
    const wrong = await verify(program, '--expect', at('wrong'), ...status, '--', 'you');
    expect(wrong).toMatchObject({
      status: 6,
      faults: { riscv64: 'standard output differs at line 1, byte 7' },
    });
    const other = await uport(['verify', program, '--hosts', 's390x']);
    expect(other.stderr).toContain('UPORT_VERIFY_NO_HOST');
  });

  const noKernel = missingHost('aarch64');
  // A start of a machine is worth ten seconds, or a minute where there is much to do.
  const everyKind = process.env.UPORT_TEST_VERIFY === 'all';
  test.skipIf(noKernel)(
    named(
      `--kernel runs ${everyKind ? 'every kind' : 'universal files and images'} on a kernel of theirs`,
      noKernel ?? (everyKind ? undefined : 'FatELF and Nix: UPORT_TEST_VERIFY=all'),
    ),
    async () => {
      const slice = `arm64=${await compile(at('broken.c'), 'aarch64')}`;
      const emit = ['universal', 'fatelf', 'nix', 'oci'].flatMap((each) => ['--emit', each]);
      await build('kernel', at('vendor/bin/app'), ...emit);
      const kernel = ['--kernel', '--hosts', 'arm64', '--expect-status', '3'];
      await writeFile(at('expected'), "hello it's you\n");
      for (const artifact of everyKind ? ['app', 'app.fatelf', 'nix', 'oci'] : ['app', 'oci']) {
        const run = [at('kernel', artifact), ...kernel, '--expect', at('expected')];
        const { status, hosts } = await verify(...run, '--', "it's you");
        expect([artifact, status, hosts]).toEqual([
          artifact,
          0,
          [
            expect.objectContaining({
              way: 'its own kernel',
              kernel: expect.stringMatching(/^\d+\.\d+/),
            }),
          ],
        ]);
      }
      if (!everyKind) return;
      await build('kernel-broken', at('vendor/bin/app'), '--emit', 'universal', '--slice', slice);
      const broken = await verify(at('kernel-broken/app'), ...kernel, '--', 'you');
      expect(broken.status).toBe(6);
      expect(broken.faults.aarch64).toMatch(/^status 139 \(SIGSEGV\) instead of 3/);
    },
    600_000,
  );

  test('--kernel names the package that brings a missing qemu-system', async () => {
    await build('without', at('vendor/bin/app'), '--emit', 'universal');
    const env = { PATH: at('vendor/bin') };
    const finished = await uport(['verify', '--kernel', at('without/app')], { env });
    expect([finished.status, finished.stderr]).toEqual([
      4,
      expect.stringMatching(
        /UPORT_NO_QEMU_SYSTEM: qemu-system-aarch64[\s\S]*apt-get install qemu-system-arm/,
      ),
    ]);
  });
});
