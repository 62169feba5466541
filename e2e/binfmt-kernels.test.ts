import path from 'node:path';
import { binfmtLine, binfmtRegistration, LAUNCHER_HOSTS, parseArch } from '@uport/core';
import {
  emulatorFolder,
  fixture,
  missingHost,
  missingMusl,
  missingToolchains,
  parseArguments,
  REPOSITORY,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binfmtModule } from './support/binfmt-module.ts';
import { busybox } from './support/busybox.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named } from './support/tools.ts';
import { start, UPORT } from './support/uport.ts';

/** Private registrations came with Linux 6.7; this machine's are tested beside the command. */
const HOSTS = SIMULATED_HOSTS.filter(
  ({ name, machine }) => machine !== undefined && !name.includes('6.1'),
);
const GUEST = 'x86_64';
const BINFMT = '/proc/sys/fs/binfmt_misc';
const AWKWARD = ['', 'a b', '--', '-x', '\xff'];

describe.each(HOSTS)("on $name's kernel", ({ name, arch }) => {
  const missing = missingHost(name) ?? missingToolchains(arch, GUEST, 'm68k');
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => removeFolder(folder));

  test.skipIf(missing)(
    named('an ordinary user registers privately; programs and FatELF files run', missing),
    async () => {
      expect(LAUNCHER_HOSTS).toContain(arch);
      const signal = AbortSignal.timeout(200_000);
      const emulators = await emulatorFolder([GUEST], signal);
      // Where emulation is emulated, a start of glibc takes seconds: musl's does the same in less.
      const library = missingMusl(GUEST) ? 'glibc' : 'musl';
      const guest = await fixture('arguments', GUEST, { library });
      const uport = (...args: readonly string[]) => start(UPORT, args);
      const at = (file: string) => path.join(folder, file);
      const made = [
        await uport(
          ...['build', guest, '--name', 'app', '--emit', 'fatelf', '-o', at('dist')],
          ...['--host', arch, '--emulators', `dir:${emulators}`, '--compression-level', '1'],
        ),
        // m68k has no emulator there, so the choice is seen.
        await uport(
          ...['fatelf', 'glue', at('mine'), await fixture('hello', 'm68k'), guest],
          await fixture('machine', arch),
        ),
        await uport('fatelf', 'glue', at('foreign'), await fixture('hello', 'm68k'), guest),
      ];
      expect(made.map(({ stderr }) => stderr)).toEqual(['', '', '']);
      const launcher = path.join(REPOSITORY, 'packages/launcher/prebuilt', arch, 'launch');
      const lines = [
        binfmtRegistration(parseArch(GUEST), `/opt/qemu-${GUEST}`),
        binfmtRegistration('fatelf', '/opt/launch'),
      ].map(binfmtLine);
      const inside = `mount -t binfmt_misc none ${BINFMT} || exit 1
        for line in "$0" "$1"; do printf %s "$line" >${BINFMT}/register || exit 2; done
        shift; exec "$@"`;
      const files = {
        '/box/bin/busybox': { copy: await busybox(arch, signal), mode: 0o755 },
        '/box/lib/binfmt_misc.ko': { content: await binfmtModule(name, signal) },
        '/box/opt/launch': { copy: launcher, mode: 0o755 },
        [`/box/opt/qemu-${GUEST}`]: {
          copy: path.join(emulators, arch, `qemu-${GUEST}`),
          mode: 0o755,
        },
        '/box/app/program': { copy: guest, mode: 0o755 },
        '/box/app/universal': { copy: at('dist/app.fatelf'), mode: 0o755 },
        '/box/app/mine': { copy: at('mine'), mode: 0o755 },
        '/box/app/foreign': { copy: at('foreign'), mode: 0o755 },
        '/box/tmp': { directory: true as const, mode: 0o1777 },
      };
      const asUser = (...command: readonly string[]) => ({
        argv: ['/bin/busybox', 'unshare', '-U', '-r', '-m', '/bin/busybox', 'sh', '-c'].concat(
          inside,
          lines,
          command,
        ),
        env: ['PATH=/app', 'UPORT_CACHE_DIR=/tmp/cache', 'A=1'],
        root: '/box',
        uid: 1000,
      });
      const report = await runOnKernel(name, files, [
        { argv: ['/bin/busybox', 'insmod', '/lib/binfmt_misc.ko'], root: '/box' },
        asUser('program', ...AWKWARD),
        asUser('universal', ...AWKWARD),
        asUser('foreign', ...AWKWARD),
        asUser('mine'),
        asUser('/app/mine'),
      ]);
      const [module, ...runs] = report.results;
      // Another release than the kernel's: remove .cache/kernels.
      expect(module).toMatchObject({ status: 0, stderr: Buffer.of() });
      expect(runs.map(({ stderr }) => stderr.toString())).toEqual(['', '', '', '', '']);
      const [program, universal, foreign, mine, again] = runs;
      for (const [argv0, ran] of Object.entries({ program, universal, foreign })) {
        expect(parseArguments(ran?.stdout ?? Buffer.of()).argv).toEqual([argv0, ...AWKWARD]);
      }
      expect(parseArguments(foreign?.stdout ?? Buffer.of()).env).not.toContainEqual(
        expect.stringMatching(/^UPORT_/),
      );
      for (const ran of [mine, again]) {
        expect(ran?.stdout.toString()).toBe(`${arch} ${report.pageSize}\n`);
      }
    },
  );
});
