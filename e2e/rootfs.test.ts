import { spawnSync } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { aptMirrors, parseArch } from '@uport/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { listTar, type TarLine } from './support/list-tar.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, noOtherUser, notRoot } from './support/tools.ts';
import { errorCode, type Finished, type StartOptions, start, uport } from './support/uport.ts';

// A foreign root that is small, yet has a merged usr to make, conffiles, triggers and a shell.
const PACKAGES = 'dash,base-files,base-passwd,busybox';
const SUITE = 'bookworm';
const [MIRROR] = await aptMirrors('/etc/apt');
const MIRROR_FLAGS = MIRROR === undefined ? [] : ['--debian-mirror', MIRROR];
const NOBODY = 65534;

let folder: string;
let tar: string;
let root: string;
let mine: Promise<Finished> | undefined;

function create(out: string, options: StartOptions = {}, arch = 'arm64'): Promise<Finished> {
  const what = ['--arch', arch, '--suite', SUITE, '--variant', 'extract', '--include', PACKAGES];
  return uport(['rootfs', 'create', ...what, ...MIRROR_FLAGS, '-o', out], options);
}

/** A root that an ordinary user made, and what was said of it. */
function createMine(): Promise<Finished> {
  const make = async () => {
    const own = path.join(folder, 'mine');
    await mkdir(own);
    if (process.getuid?.() === 0) await chown(own, NOBODY, NOBODY);
    const env = { UPORT_STORE_DIR: path.join(folder, 'nobody', 'store'), HOME: own };
    const options = process.getuid?.() === 0 ? { uid: NOBODY, env } : {};
    return create(path.join(own, 'root'), options);
  };
  mine ??= make();
  return mine;
}

function enter(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return uport(['rootfs', 'enter', ...offlineFlags(), ...args], options);
}

beforeAll(async () => {
  folder = await temporaryFolder();
  tar = path.join(folder, 'root.tar');
  root = path.join(folder, 'root');
  const own = path.join(folder, 'nobody');
  await mkdir(own);
  if (process.getuid?.() === 0) await chown(own, NOBODY, NOBODY);
  expect(await create(tar)).toMatchObject({ status: 0 });
  expect(await create(root)).toMatchObject({ status: 0 });
}, 240_000);
afterAll(() => removeFolder(folder));

describe('uport rootfs create', () => {
  test(named('an ordinary user makes the same tar as root', noOtherUser()), {
    skip: noOtherUser() !== undefined,
  }, async () => {
    const own = path.join(folder, 'nobody');
    const out = path.join(own, 'root.tar');
    const env = { UPORT_STORE_DIR: path.join(own, 'store'), HOME: own };
    const made = await create(out, { uid: NOBODY, env, umask: 0o077 });
    expect(made).toMatchObject({ status: 0 });
    expect((await readFile(out)).equals(await readFile(tar))).toBe(true);
  });

  test('a tar holds devices, owners and set-ids', async () => {
    const lines = new Map((await listTar(tar)).map((line) => [line.path, line]));
    expect(lines.get('dev/null')).toMatchObject({ mode: 'crw-rw-rw-', owner: '0/0', size: '1,3' });
    expect(lines.get('var/local')).toMatchObject({ mode: 'drwxrwsr-x', owner: '0/50' });
    expect(lines.get('bin')).toMatchObject({ target: 'usr/bin' });
    expect(lines.get('usr/bin/dash')?.mode).toBe('-rwxr-xr-x');
  });

  const lacks = missingTools('mmdebstrap') ?? notRoot('mmdebstrap');
  test.skipIf(lacks)(named("a foreign root equals mmdebstrap's, file by file", lacks), async () => {
    const out = path.join(folder, 'mmdebstrap.tar');
    const done = spawnSync(
      'mmdebstrap',
      [
        ...['--variant=extract', '--architectures=arm64', '--mode=root', '--skip=check/qemu'],
        ...['--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr', `--include=${PACKAGES}`],
        ...[SUITE, out, `deb ${MIRROR} ${SUITE} main`],
      ],
      { encoding: 'utf8' },
    );
    expect(done.stderr).toContain('success');
    const explained = [
      // Of the building machine, or of apt.
      /^etc\/(?:hostname|resolv\.conf|fstab|apt(?:\/.*)?)$/,
      /^var\/(?:cache|lib|log)\/apt(?:\/.*)?$/,
      // Packages are extracted there; here dpkg knows them, and root has a name.
      /^var\/lib\/dpkg(?:\/.*)?$/,
      /^etc\/(?:passwd|group)$/,
      // 1777 is what programs need.
      /^dev\/shm$/,
    ];
    const own = await comparable(tar, explained);
    const theirs = await comparable(out, explained);
    expect(own.size).toBeGreaterThan(500);
    expect([...own].filter(([name, text]) => theirs.get(name) !== text)).toEqual([]);
    expect([...theirs].filter(([name, text]) => own.get(name) !== text)).toEqual([]);
  });

  const notMine = process.getuid?.() === 0 ? noOtherUser() : undefined;
  const told = 'a folder has what an ordinary user can have, and the command says the rest';
  test.skipIf(notMine)(named(told, notMine), async () => {
    const made = await createMine();
    const own = path.join(folder, 'mine');
    expect(made.status).toBe(0);
    expect(made.stderr).toContain('device nodes were not made');
    expect(made.stderr).toContain("belong to you and not to their packages' users");
    expect((await stat(path.join(own, 'root/usr/bin/dash'))).mode & 0o777).toBe(0o755);
    expect((await lstat(path.join(own, 'root/bin'))).isSymbolicLink()).toBe(true);
  });

  test('what cannot be is refused before anything is written', async () => {
    const out = path.join(folder, 'no.tar');
    const base = ['rootfs', 'create', ...MIRROR_FLAGS, '--suite', SUITE, '-o', out];
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['UPORT_DEBIAN_UNRESOLVABLE', ['--arch', 'arm64', '--include', 'no-such-package']],
      ['UPORT_DEBIAN_NO_ARCHITECTURE', ['--arch', 'sparc64']],
      ['UPORT_ROOTFS_EMPTY', ['--arch', 'arm64', '--variant', 'extract']],
      ['UPORT_ARCH_UNKNOWN', ['--arch', 'pdp11']],
    ];
    for (const [code, flags] of cases) {
      const finished = await uport([...base, ...flags]);
      expect([errorCode(finished), finished.stderr]).toEqual([code, finished.stderr]);
      await expect(lstat(out)).rejects.toThrow();
    }
    const bzip2 = ['-o', path.join(folder, 'x.tar.bz2'), '--arch', 'arm64'];
    expect(errorCode(await uport(['rootfs', 'create', ...bzip2]))).toBe('UPORT_TAR_COMPRESSION');
    const inTheWay = ['-o', folder, '--arch', 'arm64'];
    expect(errorCode(await uport(['rootfs', 'create', ...inTheWay]))).toBe(
      'UPORT_OUTPUT_IN_THE_WAY',
    );
  });
});

describe('uport rootfs enter', () => {
  test('programs of the root start others, and see the root', async () => {
    const script =
      'busybox uname -m; sh -c "echo \\$(busybox id -u) \\$0 \\$(busybox pwd)"; exit 7';
    const finished = await enter([root, '--', '/bin/dash', '-c', script]);
    expect(finished.stdout).toBe(`${parseArch('arm64').name}\n0 sh /\n`);
    expect(finished.status).toBe(7);
  });

  test('devices, the resolver and folders of this machine are there', async () => {
    const shared = path.join(folder, 'shared');
    await mkdir(shared);
    const script =
      'echo x >/dev/null && busybox test -c /dev/tty -a -d /proc/1 && busybox head -c 3 /dev/zero | busybox wc -c; busybox cat /etc/resolv.conf; echo inside >/mnt/shared/file';
    const bind = ['--bind', `${shared}:/mnt/shared`, '--workdir', '/mnt'];
    const finished = await enter([root, ...bind, '--', '/bin/dash', '-c', script]);
    expect(finished.status).toBe(0);
    expect(finished.stdout).toBe(`3\n${await readFile('/etc/resolv.conf', 'utf8')}`);
    expect(await readFile(path.join(shared, 'file'), 'utf8')).toBe('inside\n');
  });

  test('a signal ends the command, as anywhere', async () => {
    const finished = await enter([root, '--', '/bin/dash', '-c', 'kill -KILL $$']);
    expect(finished.status).toBe(-1);
  });

  test.skipIf(noOtherUser())(named('an ordinary user is root inside', noOtherUser()), async () => {
    expect(await createMine()).toMatchObject({ status: 0 });
    const own = path.join(folder, 'mine/root');
    const env = { UPORT_STORE_DIR: path.join(folder, 'nobody', 'store') };
    const script = 'busybox id -u; busybox touch /new && busybox stat -c %u /new; sh -c "exit 3"';
    const finished = await enter([own, '--', '/bin/dash', '-c', script], { uid: NOBODY, env });
    expect(finished.stdout).toBe('0\n0\n');
    expect(finished.status).toBe(3);
    expect((await stat(path.join(own, 'new'))).uid).toBe(NOBODY);
  });

  test('symbolic links of a hostile root lead nothing out of it', async () => {
    const hostile = path.join(folder, 'hostile');
    const outside = path.join(folder, 'outside');
    await mkdir(hostile);
    await mkdir(outside);
    for (const name of ['dev', 'proc', 'sys', 'etc']) {
      await symlink(outside, path.join(hostile, name));
    }
    await mkdir(path.join(hostile, 'bin'));
    await writeFile(
      path.join(hostile, 'bin/sh'),
      await readFile(path.join(root, 'usr/bin/busybox')),
      { mode: 0o755 },
    );
    await enter([hostile, '--', '/bin/sh', '-c', 'true']);
    expect(spawnSync('ls', ['-A', outside], { encoding: 'utf8' }).stdout).toBe('');
    await rm(hostile, { recursive: true });
  });

  test('what is no root is refused', async () => {
    expect(errorCode(await enter([tar]))).toBe('UPORT_ROOTFS_NOT_A_FOLDER');
    expect(errorCode(await enter([path.join(folder, 'nothing')]))).toBe('UPORT_NOT_FOUND');
    const empty = path.join(folder, 'empty');
    await mkdir(empty);
    expect(errorCode(await enter([empty]))).toBe('UPORT_ROOTFS_CPU_UNKNOWN');
  });
});

describe('a root as a universal file', () => {
  const script =
    'busybox uname -m; busybox id -u; busybox pwd; busybox cat given; echo out >made; echo x >/etc/new && busybox cat /etc/new; sh -c "exit 7"';
  let file: string;
  let work: string;
  const expected = (uid: number) => `${parseArch('arm64').name}\n${uid}\n${work}\ngiven\nx\n`;

  beforeAll(async () => {
    const flags = ['--entrypoint', '/bin/dash', '--emit', 'universal', '--host', 'amd64,arm64'];
    const out = path.join(folder, 'universal');
    const level = ['-o', out, '--compression-level', '1', ...offlineFlags()];
    const built = await uport(['build', '--rootfs', tar, ...flags, ...level]);
    expect(built, built.stderr).toMatchObject({ status: 0 });
    file = path.join(out, 'dash');
    work = path.join(folder, 'work');
    await mkdir(work, { mode: 0o777 });
    await chmod(work, 0o777);
    await writeFile(path.join(work, 'given'), 'given\n');
  }, 120_000);

  async function run(uid: number, name: string) {
    const cache = path.join(folder, `cache-${name}`);
    await mkdir(cache, { mode: 0o700 });
    if (uid !== (process.getuid?.() ?? 0)) await chown(cache, uid, uid);
    const env = { UPORT_CACHE_DIR: cache, HOME: work };
    const again = () => start(file, ['-c', script], { cwd: work, env, uid });
    return [await again(), await again()];
  }

  test('runs in it, and sees the folder of its caller', async () => {
    const uid = process.getuid?.() ?? 0;
    // What the first one wrote is not there the second time.
    for (const ran of await run(uid, 'own')) {
      expect(ran).toEqual({ status: 7, stdout: expected(uid), stderr: '' });
    }
    expect(await readFile(path.join(work, 'made'), 'utf8')).toBe('out\n');
    await rm(path.join(work, 'made'));
  });

  const lone = notRoot('another user');
  test.skipIf(lone)(named('an ordinary user stays who he is', lone), async () => {
    for (const ran of await run(NOBODY, 'nobody')) {
      expect(ran).toEqual({ status: 7, stdout: expected(NOBODY), stderr: '' });
    }
    expect((await stat(path.join(work, 'made'))).uid).toBe(NOBODY);
  });

  test.skipIf(lone)(named('a user whom the root does not know has a name', lone), async () => {
    const uid = 4711;
    const cache = path.join(folder, 'cache-unknown');
    await mkdir(cache, { mode: 0o700 });
    await chown(cache, uid, uid);
    const env = { UPORT_CACHE_DIR: cache, HOME: work };
    const names = 'busybox id -un; busybox id -gn; busybox tail -n 1 /etc/passwd';
    const ran = await start(file, ['-c', names], { cwd: work, env, uid });
    const line = `user4711:x:4711:4711::${work}:/bin/sh`;
    expect(ran).toEqual({ status: 0, stdout: `user4711\nuser4711\n${line}\n`, stderr: '' });
  });

  test.skipIf(lone)(
    named('where user namespaces are forbidden it says so, and runs nothing', lone),
    async () => {
      const cache = path.join(folder, 'cache-forbidden');
      await mkdir(cache, { mode: 0o700 });
      await chown(cache, NOBODY, NOBODY);
      const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"';
      const weak = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', file, '-c', script];
      const args = ['--user', '--map-root-user', '/bin/sh', '-c', forbid, 'sh', ...weak];
      const env = { UPORT_CACHE_DIR: cache, HOME: work };
      const ran = await start('unshare', args, { cwd: work, env, uid: NOBODY });
      expect(ran).toMatchObject({ status: 125, stdout: '' });
      expect(ran.stderr).toMatch(/root file system, which cannot be entered.*user\.max_user/);
    },
  );
});

/** Each path with all that a tar says of it. */
async function comparable(file: string, explained: readonly RegExp[]) {
  const text = ({ mode, owner, size, time, target, digest }: TarLine) =>
    // Which of a file's names is the file is no matter; folders have the times of their unpacking.
    /^[-h]/.test(mode)
      ? [mode.slice(1), owner, time, digest].join(' ')
      : [mode, owner, mode.startsWith('c') ? size : '', target].join(' ');
  const lines = (await listTar(file)).filter(
    (line) => line.path !== '' && !explained.some((pattern) => pattern.test(line.path)),
  );
  return new Map(lines.map((line) => [line.path, text(line)]));
}
