// git, python3 and postgresql of Debian for a foreign CPU, as universal files and as images: here, and on
// the kernels of other hosts.
import { chmod, chown, cp, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { aptMirrors, parseArch } from '@uport/core';
import {
  emulatorFolder,
  type HostCommand,
  type HostFile,
  missingHost,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SOFTWARE_GUESTS, type SoftwareGuest, WORKLOADS } from './real-software/workloads.ts';
import { busybox } from './support/busybox.ts';
import { PLATFORMS } from './support/guests.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named, noPrivateBinfmt, notRoot } from './support/tools.ts';
import { unpackImage } from './support/unpack-image.ts';
import { start, uport } from './support/uport.ts';

/** CPUs, or kernels of `SIMULATED_HOSTS`, with commas between; `all`. */
function asked(variable: string, name: string): boolean {
  const value = process.env[variable];
  return value === 'all' || value?.split(',').includes(name) === true;
}

const PACKAGES = [
  'base-files',
  'base-passwd',
  'bash',
  'dash',
  'coreutils',
  'diffutils',
  'grep',
  'sed',
  'git',
  'python3',
  'postgresql-15',
];
const SCRIPTS = path.join(import.meta.dirname, 'real-software/scripts');
const [MIRROR] = await aptMirrors('/etc/apt');
const USER = 1000;
const ENGINE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Python's own tests of what an emulator makes hard. */
const PYTHON_TESTS =
  'test_grammar test_zlib test_hashlib test_struct test_fork1 test_popen test_poll test_wait4';
const CASES = [
  ...WORKLOADS.filter(({ name }) => /^(?:git|python3|postgres):/.test(name)),
  {
    name: "tests of python3's own",
    command: `python3 -m test ${PYTHON_TESTS} >tests.log && grep '^Tests result' tests.log`,
    expected: () => ['Tests result: SUCCESS'],
  },
];

const WAYS = (['userns', 'ptrace'] as const).filter(
  (way) => way !== 'userns' || noPrivateBinfmt() === undefined,
);

const guests = SOFTWARE_GUESTS.filter(({ arch }) => arch === 'arm64' || arch === 'ppc64el');

describe.each(guests)("Debian's $arch packages in files and images", (guest: SoftwareGuest) => {
  const skipped =
    notRoot('another user') ??
    (asked('UPORT_TEST_SOFTWARE', guest.arch) ? undefined : `UPORT_TEST_SOFTWARE=${guest.arch}`);
  let folder: string;
  let file: string;
  let scripts: string;

  beforeAll(async () => {
    if (skipped) return;
    folder = await temporaryFolder();
    await chmod(folder, 0o755);
    const tar = path.join(folder, 'root.tar');
    const what = ['--arch', guest.arch, '--suite', guest.suite];
    const include = ['--include', [...PACKAGES, 'libpython3.11-testsuite'].join(',')];
    const mirror = MIRROR === undefined ? [] : ['--debian-mirror', MIRROR];
    const make = ['rootfs', 'create', ...what, ...include, '--variant', 'extract', ...mirror];
    expect(await uport([...make, '-o', tar], { seconds: 900 })).toMatchObject({ status: 0 });
    const found = await emulatorFolder([parseArch(guest.arch).name], AbortSignal.timeout(600_000));
    const built = await uport(
      [
        ...['build', '--rootfs', tar, '--entrypoint', '/bin/bash', '--emit', 'universal,oci'],
        ...['--compression', 'zstd', '--compression-level', '1', '--emulators', `dir:${found}`],
        ...['-o', path.join(folder, 'dist')],
      ],
      { seconds: 900 },
    );
    expect(built, built.stderr).toMatchObject({ status: 0 });
    file = path.join(folder, 'dist/bash');
    // A clone may be one that only its owner can read.
    scripts = path.join(folder, 'scripts');
    await cp(SCRIPTS, scripts, { recursive: true });
  }, 2_000_000);
  afterAll(() => (folder ? removeFolder(folder) : undefined));

  /** A line of a shell that runs a case in a folder of its own. */
  const line = (command: string, scripts: string) =>
    `mkdir "$WORK" && cd "$WORK" && { ${command.replaceAll('/scripts', scripts)}; } 2>&1`;

  test.skipIf(skipped).for(CASES.flatMap((each) => WAYS.map((way) => ({ ...each, way }))))(
    named('$name, from one file by $way', skipped),
    { timeout: 1_300_000 },
    async ({ command, expected, way, name }) => {
      const home = path.join(folder, 'home');
      await mkdir(home, { recursive: true });
      await chown(home, USER, USER);
      // Short: a server's socket is in it, whose name has 107 bytes at most.
      const work = path.join(home, `${name.split(/\W/)[0]}-${way}`);
      const env = { HOME: home, WORK: work, UPORT_CACHE_DIR: `${home}/cache`, UPORT_EXEC: way };
      const options = { cwd: folder, env: { ...env, LC_ALL: 'C' }, uid: USER, seconds: 1200 };
      const ran = await start(file, ['-c', line(command, scripts)], options);
      expect({ status: ran.status, lines: ran.stdout.split('\n') }).toEqual({
        status: 0,
        lines: [...expected(guest), ''],
      });
    },
  );

  describe.each(SIMULATED_HOSTS.filter(({ machine }) => machine))("on $name's kernel", (host) => {
    const why =
      skipped ??
      missingHost(host.name) ??
      (asked('UPORT_TEST_KERNELS', host.name) ? undefined : `UPORT_TEST_KERNELS=${host.name}`);

    test.skipIf(why).for(['file', 'image'] as const)(
      named('all of them, from the %s', why),
      { timeout: 7_200_000 },
      async (artifact) => {
        const root = path.join(folder, `image-${host.name}`);
        const config = await unpackImage(
          path.join(folder, 'dist/oci'),
          PLATFORMS[host.arch] as string,
          root,
        );
        const tools = await busybox(host.arch, AbortSignal.timeout(300_000));
        // A user namespace is for who has the root of all mounts: neither is started in the machine's own.
        const top = '/top';
        const home = '/work';
        const files: Record<string, HostFile> = { '/bin/busybox': { copy: tools, mode: 0o755 } };
        for (const tool of ['sh', 'dd', 'mkdir', 'chmod', 'id', 'rm', 'uname']) {
          files[`/bin/${tool}`] = { copy: tools, mode: 0o755 };
          if (artifact === 'file') files[`${top}/bin/${tool}`] = { copy: tools, mode: 0o755 };
        }
        if (artifact === 'image') files[top] = root;
        else files[`${top}/app/bash`] = { copy: file, mode: 0o755 };
        // An engine names its user too; a file's caller has the machine's name.
        const list = artifact === 'image' ? await readFile(path.join(root, 'etc/passwd')) : '';
        const passwd = `${list}me:x:${USER}:${USER}::${home}:/bin/sh\n`;
        files[`${top}/etc/passwd`] = { content: Buffer.from(passwd), mode: 0o644 };
        files[top + home] = { directory: true, mode: 0o755, owner: USER };
        for (const name of await readdir(SCRIPTS)) {
          files[`${top}${home}/${name}`] = { copy: path.join(SCRIPTS, name), mode: 0o644 };
        }
        const start = artifact === 'image' ? (config.Entrypoint ?? []) : ['/app/bash'];
        const commands = CASES.map((each, index): HostCommand => {
          // An engine gives a PATH where the image says nothing of it.
          const env = [`PATH=${ENGINE_PATH}`, ...(artifact === 'image' ? (config.Env ?? []) : [])];
          const own = [`HOME=${home}`, `WORK=${home}/${index}`, 'LC_ALL=C'];
          return {
            argv: [...start, '-c', line(each.command, home)],
            env: [...env, ...own, `UPORT_CACHE_DIR=${home}/cache`],
            cwd: home,
            root: top,
            uid: USER,
            seconds: 1500,
          };
        });
        const options = { seconds: 7000, room: 3000 };
        const { results } = await runOnKernel(host.name, files, commands, options);
        const seen = results.map(({ status, stdout, stderr }) => {
          const lines = Buffer.from(stdout).toString().split('\n');
          // The launcher's own words, where it did not start.
          return { status, lines, ...(status === 125 && { stderr: stderr.toString() }) };
        });
        expect(seen).toEqual(
          CASES.map(({ expected }) => ({ status: 0, lines: [...expected(guest), ''] })),
        );
      },
    );
  });
});
