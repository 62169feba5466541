import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type HostCommand,
  missingHost,
  missingToolchains,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busybox } from './support/busybox.ts';
import { offlineFlags } from './support/emitters.ts';
import { PLATFORMS } from './support/guests.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { unpackImage } from './support/unpack-image.ts';
import { start, uport } from './support/uport.ts';

const ALL = process.env.UPORT_FROM_DEBIAN === 'all';

/** Programs that are built here against one release of glibc and run with Debian's. */
const GUESTS = [
  { toolchain: 'riscv64', compiler: 'riscv64-linux-gnu-gcc', suite: 'sid', bytes: 8 },
  { toolchain: 's390x', compiler: 's390x-linux-gnu-gcc', suite: 'bookworm', bytes: 8 },
  { toolchain: 'armhf', compiler: 'arm-linux-gnueabihf-gcc', suite: 'bookworm', bytes: 4 },
  { toolchain: 'i386', compiler: 'i686-linux-gnu-gcc', suite: 'bookworm', bytes: 4 },
] as const;

const SOURCE = `#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static void *work(void *number) { *(double *)number = sqrt(*(double *)number); return 0; }
int main(int argc, char **argv) {
  double number = atof(argv[argc - 1]);
  pthread_t thread;
  if (pthread_create(&thread, 0, work, &number) || pthread_join(thread, 0)) return 1;
  printf("%.6f %d\\n", number, (int)sizeof(void *));
  return 3;
}`;

/** Each always runs on one host of another CPU, as one kind of artifact. */
const FEW: Readonly<Record<string, readonly [artifact: string, host: string]>> = {
  riscv64: ['app', 'ppc64le'],
  s390x: ['oci', 'x86_64'],
  armhf: ['app', 'aarch64'],
  i386: ['oci', 'riscv64'],
};

describe.each(GUESTS)('a dynamic program of $toolchain with libraries from Debian', (guest) => {
  const { toolchain, compiler, suite, bytes } = guest;
  const missing = missingToolchains(toolchain) ?? missingTools('tar', 'unshare');
  const output = `3.000000 ${bytes}\n`;
  let folder: string;
  const at = (...parts: readonly string[]) => path.join(folder, ...parts);

  beforeAll(async () => {
    folder = await temporaryFolder();
    if (missing) return;
    await writeFile(at('app.c'), SOURCE);
    await writeFile(at('expected'), output);
    const libraries = ['-lm', '-lpthread'];
    const compiled = await start(compiler, ['-O0', '-o', at('app'), at('app.c'), ...libraries]);
    expect(compiled, compiled.stderr).toMatchObject({ status: 0 });
    const flags = ['--emit', 'oci,universal', '-o', at('dist'), '--from-debian', suite];
    const level = ['--compression-level', '1', ...offlineFlags()];
    const built = await uport(['build', at('app'), ...flags, ...level], { seconds: 300 });
    expect(built, built.stderr).toMatchObject({ status: 0 });
  }, 400_000);
  afterAll(() => removeFolder(folder));

  test.skipIf(missing).each(ALL ? ['oci', 'app'] : [FEW[toolchain]?.[0] as string])(
    named(
      `%s runs on ${ALL ? 'every host' : 'another host'} simulated by user-mode emulation`,
      missing,
    ),
    async (artifact) => {
      const hosts = ALL ? Object.keys(PLATFORMS) : [FEW[toolchain]?.[1] as string];
      const expected = ['--expect', at('expected'), '--expect-status', '3'];
      const flags = ['--json', '--hosts', hosts.join(), ...expected, ...offlineFlags()];
      const ran = await uport(['verify', at('dist', artifact), ...flags, '--', '9'], {
        seconds: 300,
      });
      const seen = JSON.parse(ran.stdout) as {
        hosts: readonly { readonly host: string; readonly fault: string | null }[];
      };
      expect(seen.hosts.map(({ host, fault }) => [host, fault])).toEqual(
        hosts.map((host) => [host, null]),
      );
    },
    310_000,
  );

  describe.each(SIMULATED_HOSTS.filter(({ machine }) => machine))("on $name's kernel", (host) => {
    const { name, arch } = host;
    const skipped =
      missing ?? missingHost(name) ?? (ALL ? undefined : 'UPORT_FROM_DEBIAN=all runs it');
    test.skipIf(skipped)(
      named('image and universal file run for an ordinary user', skipped),
      async () => {
        const root = await temporaryFolder();
        try {
          const config = await unpackImage(at('dist/oci'), PLATFORMS[arch] as string, root);
          const tools = { copy: await busybox(arch, AbortSignal.timeout(300_000)), mode: 0o755 };
          const names = ['sh', 'dd', 'mkdir', 'chmod', 'id', 'rm', 'uname'];
          const files = {
            ...Object.fromEntries(names.map((tool) => [`/bin/${tool}`, tools])),
            '/cache': { directory: true, mode: 0o700, owner: 1000 },
            '/app/universal': { copy: at('dist/app'), mode: 0o755 },
            '/image': root,
          } as const;
          const { Entrypoint = [], Env = [] } = config;
          const env = ['UPORT_CACHE_DIR=/cache/uport', 'PATH=/bin'];
          const commands: readonly HostCommand[] = [
            { argv: ['/app/universal', '9'], env, uid: 1000, seconds: 200 },
            { argv: [...Entrypoint, '9'], env: Env, root: '/image', uid: 1000, readOnly: true },
          ];
          const { results } = await runOnKernel(name, files, commands, { seconds: 600 });
          const seen = results.map(({ status, stdout, stderr }) => ({
            status,
            stdout: Buffer.from(stdout).toString(),
            stderr: Buffer.from(stderr).toString(),
          }));
          expect(seen).toEqual(commands.map(() => ({ status: 3, stdout: output, stderr: '' })));
        } finally {
          await removeFolder(root);
        }
      },
      700_000,
    );
  });
});
