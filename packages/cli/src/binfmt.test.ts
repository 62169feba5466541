import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const UPORT = path.join(import.meta.dirname, '../bin/uport.js');
const NQUEENS = path.join(import.meta.dirname, '../../../examples/nqueens/nqueens');

let folder = '';
const at = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-binfmt-cli-'));
  await chmod(folder, 0o777);
  await copyFile(NQUEENS, at('nqueens'));
  await writeFile(at('script'), `#!${at('nqueens')} 1\n`, { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const AS_USER =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never without a prefix for `register`: it would be the machine's own binfmt_misc. */
function uport(prefix: readonly string[], store: string, ...args: readonly string[]): Ran {
  const [program, ...rest] = [...prefix, process.execPath, UPORT, ...args] as [string, ...string[]];
  const { status, stdout, stderr } = spawnSync(program, rest, {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C', UPORT_STORE_DIR: at(store) },
  });
  return { status, stdout, stderr };
}

describe('print', () => {
  test('kernel lines of a CPU by any name, and of FatELF', () => {
    const { status, stdout } = uport([], 'store', 'binfmt', 'print', 'linux/riscv64', 'fatelf');
    expect(status).toBe(0);
    const [riscv, fatelf, ...more] = stdout.trimEnd().split('\n');
    expect(riscv).toMatch(/^:uport-riscv64:M::.*:\/usr\/local\/lib\/uport\/qemu-riscv64:FP$/);
    expect(fatelf).toBe(
      ':uport-fatelf:M::\\xfa\\x70\\x0e\\x1f\\x01\\x00::/usr/local/lib/uport/launch:FP',
    );
    expect(more).toEqual([]);
  });

  test("without a CPU: all but the machine's own", () => {
    const lines = uport([], 'store', 'binfmt', 'print', '--prefix', '/opt/q').stdout.trimEnd();
    expect(lines.split('\n').length).toBeGreaterThan(28);
    expect(lines).not.toContain(`:uport-${process.arch === 'x64' ? 'x86_64' : process.arch}:`);
    expect(lines).toContain(':/opt/q/qemu-m68k:FP');
  });

  test("Debian's form is a file for each", async () => {
    const args = ['binfmt', 'print', '--format', 'debian', 'm68k', 'hppa'];
    const refused = uport([], 'store', ...args);
    expect(refused).toMatchObject({ status: 2, stdout: '' });
    expect(refused.stderr).toContain('-o DIR');
    expect(uport([], 'store', ...args, '-o', at('binfmts')).status).toBe(0);
    expect(readdirSync(at('binfmts')).sort()).toEqual(['uport-hppa', 'uport-m68k']);
    expect(await readFile(at('binfmts/uport-hppa'), 'utf8')).toMatch(
      /^package uport\ninterpreter /,
    );
  });

  test('an unknown CPU', () => {
    const { status, stderr } = uport([], 'store', 'binfmt', 'print', 'z80');
    expect(status).toBe(2);
    expect(stderr).toContain('UPORT_ARCH_UNKNOWN');
  });
});

test('the own CPU is refused, before anything is fetched or mounted', () => {
  const own = process.arch;
  const ran = uport([], 'store', 'binfmt', 'exec', '--guest', own, 'true');
  expect(ran.stderr).toContain('UPORT_BINFMT_OWN_CPU');
});

const EMULATORS = ['--emulators', 'dir:/usr/bin'];
const TRY = `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && test -w /proc/sys/fs/binfmt_misc/register`;
const canRegister =
  spawnSync('unshare', ['-Urm', 'sh', '-c', TRY], { stdio: 'ignore' }).status === 0;
// The command is started by somebody else than who cloned it, too.
const canRead =
  AS_USER.length === 0 ||
  spawnSync('test', ['-r', UPORT], { uid: 65534, gid: 65534, stdio: 'ignore' }).status === 0;
const missing =
  (canRead ? '' : 'a clone that others can read: chmod o+rx; ') +
  (canRegister ? '' : 'a private binfmt_misc: Linux >= 6.7 that allows user namespaces; ') +
  (existsSync('/usr/bin/qemu-riscv64-static') ? '' : 'apt-get install qemu-user-static');
if (missing) console.warn(`binfmt.test.ts: needs ${missing}`);

const isMounted = () => existsSync('/proc/sys/fs/binfmt_misc/register');

describe.skipIf(missing || process.arch === 'riscv64')('exec', () => {
  test.each([
    ['root', []],
    ['an ordinary user', AS_USER],
  ] as const)('as %s: programs, scripts, argv[0], identity, exit status', (who, prefix) => {
    const mounted = isMounted();
    const commands = [
      'id -u',
      './nqueens 4',
      'PATH=$PWD:$PATH; nqueens 1',
      './script',
      'cat /proc/sys/fs/binfmt_misc/uport-riscv64 | head -n1',
      'exit 7',
    ].join('\n');
    const store = who.replaceAll(' ', '-');
    const ran = uport(
      prefix,
      store,
      ...['binfmt', 'exec', ...EMULATORS, '--guest', 'riscv64', '--', 'sh', '-c', commands],
    );
    expect(ran.stderr).toBe('');
    const lines = ran.stdout.split('\n');
    expect(lines[0]).toBe(prefix.length > 0 ? '65534' : String(process.getuid?.()));
    expect(lines).toContain('2 solutions for 4 queens');
    expect(lines.filter((line) => line === '1 solutions for 1 queens')).toHaveLength(2);
    expect(lines).toContain('enabled');
    expect(ran.status).toBe(7);
    expect(isMounted()).toBe(mounted);
  });

  test.each([
    ['root', []],
    ['an ordinary user', AS_USER],
  ] as const)('as %s: FatELF files', (who, prefix) => {
    // What uport makes, for this host with an emulator, and for another host only.
    const made = uport(
      [],
      'root',
      'build',
      NQUEENS,
      '--emit',
      'fatelf',
      '-o',
      at('dist'),
      ...EMULATORS,
      '--host',
      process.arch,
    );
    expect(made.stderr).toBe('');
    // Programs put together without any of uport: one for this machine, one foreign.
    const mine = '/bin/true';
    const glued = [
      uport([], 'root', 'fatelf', 'glue', at('mine.fat'), at('nqueens'), mine),
      uport([], 'root', 'fatelf', 'glue', at('foreign.fat'), at('nqueens')),
    ];
    expect(glued.map((one) => one.stderr)).toEqual(['', '']);
    const commands = [
      // Nothing of it may stay in the machine's own caches.
      `export UPORT_CACHE_DIR=${at(`${who.replaceAll(' ', '-')}-unpacked`)}`,
      'dist/nqueens.fatelf 4 | tail -n1',
      'dist/nqueens.fatelf x 2>&1; echo $?',
      './mine.fat 4; echo mine $?',
      'PATH=$PWD:$PATH; foreign.fat 1',
      'env -i UPORT_CACHE_DIR=$UPORT_CACHE_DIR ./foreign.fat 1',
    ].join('\n');
    const ran = uport(
      prefix,
      who.replaceAll(' ', '-'),
      ...['binfmt', 'exec', ...EMULATORS, '--guest', 'riscv64,fatelf', '--', 'sh', '-c', commands],
    );
    expect(ran.stderr).toBe('');
    expect(ran.stdout.split('\n')).toEqual([
      '2 solutions for 4 queens',
      'usage: nqueens [1-12]',
      '2',
      'mine 0',
      ...['Q', '1 solutions for 1 queens', 'Q', '1 solutions for 1 queens', ''],
    ]);
    expect(ran.status).toBe(0);
  });

  test('SIGPIPE is as a program expects it', () => {
    const ran = uport(
      [],
      'root',
      ...['binfmt', 'exec', ...EMULATORS, '--guest', 'riscv64', 'sh', '-c', 'kill -PIPE $$; echo'],
    );
    expect(ran.stdout).toBe('');
  });

  test('where namespaces are forbidden the error says what is needed', () => {
    const namespaces = ['unshare', '-Ur', 'sh', '-c'];
    const none = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"';
    const ran = uport([...namespaces, none, 'sh'], 'root', 'binfmt', 'exec', ...EMULATORS, 'true');
    expect(ran.status).toBe(4);
    expect(ran.stderr).toContain('UPORT_BINFMT_PRIVATE_REFUSED');
    expect(ran.stderr).toContain('uport binfmt register');
  });
});

describe.skipIf(missing || process.arch === 'riscv64')('register, status, unregister', () => {
  /** A namespace whose binfmt_misc is its own. */
  const PRIVATE = ['unshare', '-Urm', 'sh', '-ec'];
  const uportIn = (script: string) => uport([...PRIVATE, script], 'system');
  const line = (...args: readonly string[]) =>
    [process.execPath, UPORT, 'binfmt', ...args].map((word) => `'${word}'`).join(' ');

  test('together, in a namespace of their own', () => {
    const prefix = at('lib/uport');
    const ran = uportIn(`
      ${line('register', 'riscv64', 'm68k', 'fatelf', '--prefix', prefix, ...EMULATORS)}
      ${line('register', 'riscv64', '--prefix', prefix, ...EMULATORS)} >/dev/null
      echo -- status
      ${line('status')}
      echo -- runs
      ./nqueens 4 | tail -n1
      ls ${prefix}
      echo -- less
      ${line('unregister', 'm68k', '--prefix', prefix)}
      ls ${prefix}
      cat ${prefix}/manifest
      echo -- none
      ${line('unregister', '--prefix', prefix)}
      ${line('unregister', '--prefix', prefix)}
      test ! -e ${prefix}
      ${line('status', 'riscv64')}
      exit 0`);
    expect(ran.stderr).toBe('');
    expect(ran.status).toBe(0);
    const row = (name: string, file: string) => `${name.padEnd(20)}  FP  ${prefix}/${file}`;
    const shown = (guest: string, file: string) =>
      `${guest.padEnd(14)}${`uport-${guest}`.padEnd(20)}  PF    ${prefix}/${file}`;
    expect(ran.stdout.trimEnd().split('\n')).toEqual([
      row('uport-riscv64', 'qemu-riscv64'),
      row('uport-m68k', 'qemu-m68k'),
      row('uport-fatelf', 'launch'),
      '-- status',
      'binfmt_misc is enabled',
      shown('riscv64', 'qemu-riscv64'),
      shown('m68k', 'qemu-m68k'),
      shown('fatelf', 'launch'),
      '-- runs',
      '2 solutions for 4 queens',
      'launch',
      'manifest',
      'qemu-m68k',
      'qemu-riscv64',
      '-- less',
      'uport-m68k',
      'launch',
      'manifest',
      'qemu-riscv64',
      'uport-manifest 1',
      'emulator riscv64 243 64 lsb 0 0 qemu-riscv64',
      '-- none',
      'uport-riscv64',
      'uport-fatelf',
      'nothing of uport was registered',
      'binfmt_misc is enabled',
      'nothing is registered for these',
    ]);
  });

  test('not as an ordinary user', () => {
    const ran = uport(AS_USER, 'an-ordinary-user', 'binfmt', 'register', 'riscv64', ...EMULATORS);
    expect(ran.status).toBe(4);
    expect(ran.stderr).toContain('uport binfmt exec');
  });
});
