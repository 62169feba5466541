// Where an app is unpacked to, and where not.
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Bench,
  CPUS,
  fields,
  makeBench,
  quote,
  type Ran,
  run,
  runShell,
  SHOW_ARGUMENTS,
  THIS_HOST,
  works,
} from './testing/launch.ts';
import { type App, exampleApp, launcherBytes, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('cache.test.ts: skipped, there is no launcher for this machine');

const isRoot = process.getuid?.() === 0;
const canMount = works('unshare', ['-Urm', 'true']);
if (!canMount) console.warn('full, read-only and noexec disks: not tried, user namespaces are off');

describe.skipIf(!THIS_HOST)('the place that an app is unpacked to', () => {
  let bench: Bench;
  let app: App;
  beforeEach(() => {
    bench = makeBench();
    chmodSync(bench.folder, 0o755);
    app = writeApp(bench, host, exampleApp(host));
  });
  afterEach(() => bench.remove());

  const name = () => `${app.payload.id}-${host}`;
  /** Starts the app; the emulator's arguments tell from where. */
  const placeOf = (env: Record<string, string>): string => {
    const ran = run(app.file, [], { env });
    expect(ran.stderr).toBe('');
    return (fields(ran.stdout)[4] ?? '').replace(`/${name()}/root/bin/foreign`, '');
  };
  const remove = (path: string) => run('rm', ['-rf', path]);
  const PASSED = (place: string, reason: string) => `${place}: passed over: ${reason}`;

  test('is the first that can be used, in the documented order', () => {
    const env: Record<string, string> = {
      UPORT_CACHE_DIR: bench.at('a/b'),
      XDG_CACHE_HOME: bench.at('c'),
      HOME: bench.at('d'),
      XDG_RUNTIME_DIR: bench.at('e'),
    };
    const expected = [
      bench.at('a/b'),
      bench.at('c/uport'),
      bench.at('d/.cache/uport'),
      bench.at('e/uport'),
    ];
    for (const [variable, place] of Object.keys(env).map((key, i) => [key, expected[i]] as const)) {
      expect(placeOf(env)).toBe(place);
      expect(statSync(place ?? '').mode & 0o7777).toBe(0o700);
      remove(place ?? '');
      delete env[variable];
    }
    const user = process.geteuid?.();
    try {
      expect(placeOf({})).toBe(`/var/tmp/uport-${user}`);
    } finally {
      remove(`/var/tmp/uport-${user}/${name()}`);
      remove(`/var/tmp/uport-${user}/${name()}.lock`);
    }
  });

  test('where it lies already comes before where it could lie', () => {
    expect(placeOf({ HOME: bench.at('d') })).toBe(bench.at('d/.cache/uport'));
    const env = { UPORT_CACHE_DIR: bench.at('a'), HOME: bench.at('d') };
    expect(placeOf(env)).toBe(bench.at('d/.cache/uport'));
    expect(existsSync(bench.at('a'))).toBe(false);
  });

  test('slashes at the end of its name mean nothing', () => {
    expect(placeOf({ UPORT_CACHE_DIR: `${bench.at('a')}//` })).toBe(bench.at('a'));
  });

  describe('is passed over', () => {
    const start = (): Ran =>
      run(app.file, ['x'], {
        env: { UPORT_CACHE_DIR: bench.at('bad'), HOME: bench.at('good'), UPORT_DEBUG: '1' },
      });
    const expectPassedOver = (reason: string) => {
      const ran = start();
      expect(ran.stderr).toContain(PASSED(bench.at('bad'), reason));
      expect(fields(ran.stdout)[4]).toBe(
        `${bench.at('good/.cache/uport')}/${name()}/root/bin/foreign`,
      );
      expect(ran.status).toBe(0);
    };

    test('as a symbolic link, even to a good folder', () => {
      mkdirSync(bench.at('real'), { mode: 0o700 });
      symlinkSync(bench.at('real'), bench.at('bad'));
      expectPassedOver('is a symbolic link or no folder');
      expect(readdirSync(bench.at('real'))).toEqual([]);
    });

    test('as a file', () => {
      writeFileSync(bench.at('bad'), '');
      expectPassedOver('is a symbolic link or no folder');
    });

    test.each([0o770, 0o707, 0o1777])('when others may write to it (%o)', (mode) => {
      mkdirSync(bench.at('bad'));
      chmodSync(bench.at('bad'), mode);
      expectPassedOver('can be written by other users');
      expect(readdirSync(bench.at('bad'))).toEqual([]);
    });

    test.skipIf(!isRoot)('when it belongs to another user', () => {
      mkdirSync(bench.at('bad'), { mode: 0o700 });
      chownSync(bench.at('bad'), 65534, 65534);
      expectPassedOver('belongs to another user');
      expect(readdirSync(bench.at('bad'))).toEqual([]);
    });

    test('when its name is relative', () => {
      const env = { UPORT_CACHE_DIR: 'bad', HOME: bench.at('good'), UPORT_DEBUG: '1' };
      const ran = run(app.file, [], { env, cwd: bench.folder });
      expect(ran.stderr).toContain('bad: passed over: is no absolute path');
      expect(existsSync(bench.at('bad'))).toBe(false);
    });

    test('when what it lies in is no folder', () => {
      writeFileSync(bench.at('file'), '');
      const env = { UPORT_CACHE_DIR: bench.at('file/bad'), HOME: bench.at('good') };
      expect(placeOf(env)).toBe(bench.at('good/.cache/uport'));
    });

    test.skipIf(!isRoot)('when it would have to be made in the home of another user', () => {
      mkdirSync(bench.at('home'), { mode: 0o755 });
      chownSync(bench.at('home'), 65534, 65534);
      const env = { HOME: bench.at('home'), XDG_RUNTIME_DIR: bench.at('good'), UPORT_DEBUG: '1' };
      const ran = run(app.file, [], { env });
      expect(ran.stderr).toContain(PASSED(bench.at('home/.cache/uport'), 'cannot be made: EPERM'));
      expect(ran.status).toBe(0);
      expect(readdirSync(bench.at('home'))).toEqual([]);
    });

    test('when its lock is a symbolic link', () => {
      mkdirSync(bench.at('bad'), { mode: 0o700 });
      symlinkSync(bench.at('elsewhere'), bench.at(`bad/${name()}.lock`));
      expectPassedOver(`cannot make ${name()}.lock: ELOOP`);
      expect(existsSync(bench.at('elsewhere'))).toBe(false);
    });
  });

  describe.skipIf(!canMount)('on a disk that', () => {
    /** In a mount namespace of its own, with everything that is writable named. */
    const within = (mounts: string, env: Record<string, string> = {}): Ran => {
      const hide = ['/var/tmp', '/dev/shm'].map((at) => `mount -t tmpfs -o ro none ${at}`);
      const script = [...hide, mounts, `exec ${quote(app.file)} x`].join('\n');
      return run('unshare', ['-Urm', 'sh', '-ec', script], {
        env: { UPORT_DEBUG: '1', UPORT_CACHE_DIR: bench.at('bad'), HOME: bench.at('good'), ...env },
      });
    };
    const mount = (options: string) =>
      `mount -t tmpfs ${options} none ${quote(bench.at('bad'))}; chmod 700 ${quote(bench.at('bad'))} || :`;
    beforeEach(() => mkdirSync(bench.at('bad'), { mode: 0o700 }));

    test.each([
      ['is full', '-o size=40k', /: passed over: cannot write \S+: ENOSPC\n/],
      ['is read-only', '-o ro,mode=700', /: passed over: cannot make \S+\.lock: EROFS\n/],
      ['is noexec', '-o noexec', /: passed over: is mounted noexec\n/],
      ['has no room for another file', '-o nr_inodes=6', /: passed over: cannot \S+ \S+: ENOSPC\n/],
    ])('%s: the next place is taken', (_, options, reason) => {
      const ran = within(mount(options));
      expect(ran.stderr).toMatch(reason);
      expect(fields(ran.stdout)[5]).toBe('x');
      expect(fields(ran.stdout)[4]).toContain('/good/.cache/uport/');
    });

    test('is full: nothing unfinished stays there', () => {
      const bad = quote(bench.at('bad'));
      const ran = within(
        `${mount('-o size=40k')}\n${quote(app.file)} x >/dev/null 2>&1; ls -A ${bad}; exit`,
      );
      expect(ran).toMatchObject({ status: 0, stdout: `${name()}.lock\n` });
    });
  });

  describe.skipIf(!canMount)('without any place', () => {
    /** Every place is read-only but the one from which the file itself is started. */
    const nowhere = (file: string): Ran => {
      const script = `
        mount -t tmpfs none /mnt; cp ${quote(file)} /mnt/app; mount -o remount,ro /mnt
        for at in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o ro none $at; done
        exec /mnt/app 'a b'`;
      return run('unshare', ['-Urm', 'sh', '-ec', script], {
        env: { UPORT_CACHE_DIR: '/mnt/cache', HOME: '/mnt/home' },
      });
    };

    test('an app of several files: the error names each place and why', () => {
      const ran = nowhere(app.file);
      expect(ran).toMatchObject({ status: 125, stdout: '' });
      expect(ran.stderr).toMatch(
        /^uport: \/mnt\/app: there is no place to unpack it to: \/mnt\/cache cannot be made: EROFS; \/mnt\/home\/\.cache\/uport cannot be made: EROFS; \/var\/tmp\/uport-0 cannot be made: EROFS; \/tmp\/uport-0 cannot be made: EROFS; \/dev\/shm\/uport-0 cannot be made: EROFS; memory can hold an app of one file only; name one with UPORT_CACHE_DIR that .*\n$/,
      );
    });

    test('an app of one file runs from memory', () => {
      const m68k = { name: 'm68k', elf: CPUS.m68k, content: SHOW_ARGUMENTS };
      const one = writeApp(
        bench,
        host,
        exampleApp(host, {
          hosts: [{ name: host, launcher: launcherBytes(host), emulators: [m68k] }],
          programs: [{ name: 'one', path: 'bin/one' }],
          nodes: [
            { dir: 'bin' },
            { file: 'bin/one', content: '#!/bin/sh\necho "got $1"; exit 4\n' },
          ],
        }),
        'one',
      );
      expect(nowhere(one.file)).toMatchObject({ status: 4, stdout: 'got a b\n', stderr: '' });
    });

    test('so does its native build', () => {
      const slices = [{ path: 'one', content: '#!/bin/sh\necho "native $1"\n' }];
      const one = writeApp(
        bench,
        host,
        exampleApp(host, {
          hosts: [{ name: host, launcher: launcherBytes(host), slices }],
          programs: [{ name: 'one', path: 'one' }],
          nodes: [{ file: 'one', content: 'x' }],
        }),
        'one',
      );
      expect(nowhere(one.file)).toMatchObject({ status: 0, stdout: 'native a b\n', stderr: '' });
    });
  });

  test.skipIf(!isRoot)('each user has one of their own', () => {
    chmodSync(app.file, 0o755);
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', app.file, 'x'];
    mkdirSync(bench.at('home'), { mode: 0o755 });
    chownSync(bench.at('home'), 65534, 65534);
    const env = { HOME: bench.at('home'), UPORT_CACHE_DIR: bench.at('root') };
    expect(placeOf({ UPORT_CACHE_DIR: bench.at('root') })).toBe(bench.at('root'));
    const ran = run('setpriv', asNobody, { env });
    expect(fields(ran.stdout)[5]).toBe('x');
    expect(lstatSync(bench.at('home/.cache/uport')).uid).toBe(65534);
  });

  test('a file that is found through PATH', () => {
    const env = { PATH: `${bench.folder}:/usr/bin:/bin`, UPORT_CACHE_DIR: bench.at('a') };
    const ran = runShell(bench, 'app x', { env });
    expect(fields(ran.stdout).slice(2, 4)).toEqual(['-0', 'app']);
  });
});
