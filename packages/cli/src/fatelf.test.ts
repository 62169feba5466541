import { spawn, spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const PACKAGE = path.join(import.meta.dirname, '..');
const UPORT = path.join(PACKAGE, 'bin/uport.js');
const TOOLS = ['extract', 'glue', 'info', 'remove', 'replace', 'split', 'validate', 'verify'];

/** FatELF tells programs apart by these fields of the ELF header alone. */
function fields(file: string): string {
  const bytes = readFileSync(file);
  const machine = bytes[5] === 1 ? bytes.readUInt16LE(18) : bytes.readUInt16BE(18);
  return [machine, bytes[4], bytes[5], bytes[7], bytes[8]].join();
}

/** A real C library of every CPU that there is a cross compiler for, one for each target. */
const LIBRARIES = [
  ...new Map(
    globSync('/usr/*-linux-gnu*/{lib,lib64}/libc.so.6{,.1}')
      .sort()
      .map((file) => [fields(file), file] as const),
  ).values(),
];
const BUSYBOX = '/bin/busybox';
const QEMU = '/usr/bin/qemu-s390x-static';
const S390X = '/usr/s390x-linux-gnu/lib/libc.so.6';
const AARCH64 = '/usr/aarch64-linux-gnu/lib/libc.so.6';
const missing = ![BUSYBOX, QEMU, S390X, AARCH64].every((file) => existsSync(file));
const NEEDS =
  'needs apt-get install busybox-static qemu-user-static libc6-dev-s390x-cross libc6-dev-arm64-cross';

/** Full disks need a file system of one's own. */
const namespace = ['--mount', '--map-root-user'];
const noNamespace =
  spawnSync('unshare', [...namespace, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status !== 0;

let folder = '';
const at = (name: string) => path.join(folder, name);
const names = async () => (await readdir(folder)).sort();

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-fatelf-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function run(program: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const uport = (...args: readonly string[]) => run(UPORT, args);
const fatelf = (...args: readonly string[]) => uport('fatelf', ...args);
const tool = (name: string, ...args: readonly string[]) =>
  run(path.join(PACKAGE, `bin/fatelf-${name}.js`), args);
const DONE = { status: 0, stderr: '' };

interface Info {
  readonly records: readonly { readonly target: string; readonly size: number }[];
  readonly trailing: { readonly size: number };
  readonly faults: readonly { readonly code: string }[];
}

function info(file: string): Info {
  const { stdout, ...ended } = fatelf('info', file, '--json');
  expect(ended).toEqual(DONE);
  return JSON.parse(stdout) as Info;
}

test('every command is there under its own name', { timeout: 120_000 }, async () => {
  const { bin } = JSON.parse(await readFile(path.join(PACKAGE, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  expect(Object.keys(bin).sort()).toEqual([...TOOLS.map((name) => `fatelf-${name}`), 'uport']);
  for (const [name, file] of Object.entries(bin)) {
    // The commands look for Node in PATH.
    const PATH = `${path.dirname(process.execPath)}:${process.env.PATH}`;
    const { status, stdout } = spawnSync(path.join(PACKAGE, file), ['--help'], {
      encoding: 'utf8',
      env: { ...process.env, PATH },
    });
    expect({ name, status }).toEqual({ name, status: 0 });
    expect(stdout).toContain(name === 'uport' ? 'fatelf' : `usage: ${name} `);
  }
});

describe.skipIf(missing)(`on real programs (${NEEDS})`, { timeout: 300_000 }, () => {
  test('all CPUs: what is glued comes out byte for byte', async () => {
    const parts = [...LIBRARIES.filter((file) => fields(file) !== fields(BUSYBOX)), BUSYBOX];
    const tail = Buffer.from('shared by all');
    await writeFile(at('tail'), tail);
    expect(fatelf('glue', 'fat', ...parts, '--trailing', 'tail')).toMatchObject(DONE);
    expect(fatelf('validate', 'fat')).toEqual({ ...DONE, stdout: 'fat: no faults\n' });

    const { records, trailing, faults } = info('fat');
    expect(faults).toEqual([]);
    expect(trailing.size).toBe(tail.length);
    expect(records).toHaveLength(parts.length);
    for (const [index, { target }] of records.entries()) {
      const part = await readFile(parts[index] as string);
      expect(fatelf('extract', 'out', 'fat', target)).toMatchObject(DONE);
      expect((await readFile(at('out'))).equals(Buffer.concat([part, tail])), target).toBe(true);
    }

    const split = fatelf('split', 'fat', '--no-trailing');
    expect(split).toMatchObject(DONE);
    const written = split.stdout.trimEnd().split('\n');
    expect(written).toHaveLength(parts.length);
    for (const [index, file] of written.entries()) {
      const part = await readFile(parts[index] as string);
      expect((await readFile(at(file))).equals(part), file).toBe(true);
    }
    expect(fatelf('glue', 'again', ...written, '--trailing', 'tail')).toMatchObject(DONE);
    expect((await readFile(at('again'))).equals(await readFile(at('fat')))).toBe(true);

    const middle = Math.floor(parts.length / 2);
    expect(fatelf('remove', 'fewer', 'fat', `record${middle}`)).toMatchObject(DONE);
    const others = parts.toSpliced(middle, 1);
    expect(fatelf('glue', 'others', ...others, '--trailing', 'tail')).toMatchObject(DONE);
    expect((await readFile(at('fewer'))).equals(await readFile(at('others')))).toBe(true);
    // From the smaller file again, in place.
    expect(fatelf('remove', 'fewer', 'fewer', 'record0')).toMatchObject(DONE);
    expect(fatelf('glue', 'others', ...others.slice(1), '--trailing', 'tail')).toMatchObject(DONE);
    expect((await readFile(at('fewer'))).equals(await readFile(at('others')))).toBe(true);
  });

  test('a program is replaced in place, and what comes out is executable', async () => {
    expect(fields(QEMU)).toBe(fields(BUSYBOX));
    expect(fatelf('glue', 'fat', BUSYBOX, S390X)).toMatchObject(DONE);
    expect(fatelf('replace', 'fat', 'fat', QEMU)).toMatchObject(DONE);
    expect(fatelf('glue', 'wanted', QEMU, S390X)).toMatchObject(DONE);
    expect((await readFile(at('fat'))).equals(await readFile(at('wanted')))).toBe(true);
    expect(fatelf('extract', 'program', 'fat', 'x86_64')).toMatchObject(DONE);
    expect((await stat(at('program'))).mode & 0o111).not.toBe(0);
  });

  test('the commands of their own take arguments only, in the order of the reference tools', async () => {
    expect(tool('glue', 'fat', BUSYBOX, S390X)).toEqual({ ...DONE, stdout: '' });
    expect(tool('info', 'fat').stdout).toMatch(/^record1 {2}s390:64bit:be:linux:osabiver0 /m);
    expect(tool('extract', '--json', 'fat', 's390')).toEqual({ ...DONE, stdout: '' });
    expect((await readFile(at('--json'))).equals(await readFile(S390X))).toBe(true);
    expect(tool('replace', '--', 'fat', '--json')).toEqual({ ...DONE, stdout: '' });
    expect((await readFile(at('--'))).equals(await readFile(at('fat')))).toBe(true);
    expect(tool('remove', 'one', 'fat', 'record0')).toEqual({ ...DONE, stdout: '' });
    expect(tool('verify', 'one', 's390')).toMatchObject(DONE);
    expect(tool('verify', 'one', 'x86_64')).toMatchObject({ status: 6, stderr: '' });
    expect(tool('validate', 'one')).toMatchObject(DONE);
    expect(tool('split', 'one')).toEqual({ ...DONE, stdout: 'one-s390\n' });
    const before = await names();
    for (const [name, ...args] of [
      ['glue', 'out'],
      ['info'],
      ['info', 'fat', '--json'],
      ['extract', 'out', 'fat'],
      ['remove', 'out', 'fat', 's390', 'x86_64'],
      ['replace', 'out', 'fat', BUSYBOX, S390X],
      ['split', 'fat', '--no-trailing'],
      ['verify', 'fat'],
      ['validate'],
    ] as const) {
      const ended = tool(name, ...args);
      expect(ended, name).toMatchObject({ status: 2, stdout: '' });
      expect(ended.stderr).toContain(`next:  fatelf-${name} `);
    }
    expect(await names()).toEqual(before);
  });

  test('inspect and validate know a FatELF file', async () => {
    await writeFile(at('tail'), 'shared');
    expect(fatelf('glue', 'fat', BUSYBOX, S390X, '--trailing', 'tail')).toMatchObject(DONE);
    const sum = (file: string) => spawnSync('sha256sum', [file], { encoding: 'utf8' }).stdout;
    const shown = uport('inspect', 'fat', '--json');
    expect(shown).toMatchObject(DONE);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      kind: 'fatelf',
      records: [
        {
          arch: 'x86_64',
          platform: 'linux/amd64',
          linkage: 'static',
          digest: `sha256:${sum(BUSYBOX).slice(0, 64)}`,
        },
        { arch: 's390x', linkage: 'shared-object', digest: `sha256:${sum(S390X).slice(0, 64)}` },
      ],
      trailing: { size: 6, digest: `sha256:${sum(at('tail')).slice(0, 64)}` },
      faults: [],
    });
    expect(uport('inspect', 'fat').stdout).toContain(`sha256:${sum(S390X).slice(0, 64)}`);
    expect(uport('validate', 'fat')).toEqual({ ...DONE, stdout: 'fat: no faults\n' });

    await truncate(at('fat'), 100_000);
    expect(uport('inspect', 'fat')).toMatchObject({
      ...DONE,
      stdout: expect.stringContaining('UPORT_FATELF_OUT_OF_BOUNDS'),
    });
    for (const command of [uport, fatelf]) {
      const { status, stdout } = command('validate', 'fat', '--json');
      expect(status).toBe(6);
      expect(JSON.parse(stdout)).toMatchObject({
        faults: expect.arrayContaining([
          expect.objectContaining({ code: 'UPORT_FATELF_OUT_OF_BOUNDS' }),
        ]),
      });
    }
  });

  test('validate says what it cannot check', async () => {
    await writeFile(at('text'), 'hello');
    for (const file of [BUSYBOX, 'text']) {
      const ended = uport('validate', file);
      expect(ended.status).toBe(3);
      expect(ended.stderr).toContain('UPORT_ARTIFACT_UNKNOWN');
    }
    spawnSync('mkfifo', [at('pipe')]);
    for (const command of ['inspect', 'validate']) {
      expect(uport(command, 'pipe').stderr).toContain('UPORT_NOT_A_FILE');
      expect(uport(command, 'missing').stderr).toContain('UPORT_NOT_FOUND');
    }
  });

  test('bad input: its status, its code, and nothing is left behind', async () => {
    expect(fatelf('glue', 'fat', BUSYBOX, S390X, AARCH64)).toMatchObject(DONE);
    await writeFile(at('text'), 'hello');
    await copyFile(at('fat'), at('cut'));
    await truncate(at('cut'), 3_000_000);
    await mkdir(at('folder'));
    await writeFile(at('out'), 'as it was');
    await chmod(at('out'), 0o600);
    const before = await names();
    const cases: readonly (readonly [status: number, code: string, ...args: string[]])[] = [
      [2, 'UPORT_USAGE', 'glue', 'out'],
      [2, 'UPORT_USAGE', 'info'],
      [2, 'UPORT_USAGE', 'extract', 'out', 'fat', 's390', '--nonsense'],
      [2, 'UPORT_USAGE', 'extract', 'out', 'fat', 's390', 'more'],
      [3, 'UPORT_ELF_NOT_ELF', 'glue', 'out', BUSYBOX, 'text'],
      [3, 'UPORT_FATELF_DUPLICATE', 'glue', 'out', BUSYBOX, QEMU],
      [3, 'UPORT_NOT_FOUND', 'glue', 'out', BUSYBOX, 'missing'],
      [3, 'UPORT_NOT_FOUND', 'glue', 'out', BUSYBOX, '--trailing', 'missing'],
      [3, 'UPORT_FATELF_NOT_FILE', 'glue', 'out', 'folder'],
      [4, 'UPORT_FATELF_NOT_FILE', 'glue', 'folder', BUSYBOX],
      [3, 'UPORT_NOT_FOUND', 'glue', 'missing/out', BUSYBOX],
      [3, 'UPORT_FATELF_NOT_FATELF', 'info', BUSYBOX],
      [3, 'UPORT_FATELF_NOT_FATELF', 'split', 'text'],
      [3, 'UPORT_FATELF_OUT_OF_BOUNDS', 'split', 'cut'],
      [3, 'UPORT_FATELF_OUT_OF_BOUNDS', 'remove', 'out', 'cut', 's390'],
      [3, 'UPORT_FATELF_OUT_OF_BOUNDS', 'replace', 'out', 'cut', BUSYBOX],
      [2, 'UPORT_FATELF_TARGET_UNKNOWN', 'extract', 'out', 'fat', 'nonsense'],
      [2, 'UPORT_FATELF_TARGET_MISSING', 'extract', 'out', 'fat', 'riscv'],
      [2, 'UPORT_FATELF_TARGET_MISSING', 'remove', 'out', 'fat', 'record3'],
      [2, 'UPORT_FATELF_TARGET_AMBIGUOUS', 'verify', 'fat', '64bit'],
    ];
    for (const [status, code, ...args] of cases) {
      const ended = fatelf(...args);
      expect({ args, ...ended }).toMatchObject({ status, stdout: '' });
      expect(ended.stderr, args.join(' ')).toContain(`uport: ${code}: `);
      expect(ended.stderr).not.toMatch(/\.tmp/);
    }
    expect(await names()).toEqual(before);
    expect(await readFile(at('out'), 'utf8')).toBe('as it was');
  });

  test.skipIf(noNamespace)(
    'a full disk leaves nothing behind (needs: unshare --mount --map-root-user)',
    async () => {
      expect(fatelf('glue', 'fat', BUSYBOX, S390X)).toMatchObject(DONE);
      const script =
        'mount -t tmpfs -o size=1m none disk && echo was >disk/out; "$@"; s=$?; ls -A disk; cat disk/out; exit $s';
      await mkdir(at('disk'));
      for (const args of [
        ['glue', 'disk/out', BUSYBOX, S390X],
        ['extract', 'disk/new', 'fat', 's390'],
      ]) {
        const command = [process.execPath, UPORT, 'fatelf', ...args];
        const { status, stdout, stderr } = spawnSync(
          'unshare',
          [...namespace, 'sh', '-c', script, 'sh', ...command],
          { cwd: folder, encoding: 'utf8' },
        );
        expect({ status, stdout }).toEqual({ status: 4, stdout: 'out\nwas\n' });
        expect(stderr).toMatch(/^uport: UPORT_DISK_FULL: disk\/(out|new): /);
      }
    },
  );

  test('interrupted, it leaves nothing behind', async () => {
    await writeFile(at('tail'), '');
    await truncate(at('tail'), 2 ** 40);
    await writeFile(at('out'), 'as it was');
    const before = await names();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const child = spawn(
        process.execPath,
        [UPORT, 'fatelf', 'glue', 'out', BUSYBOX, '--trailing', 'tail'],
        { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
      );
      const ended = new Promise((resolve) => child.on('close', resolve));
      const errors: Buffer[] = [];
      child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
      while (child.exitCode === null && (await names()).length === before.length) await sleep(10);
      child.kill(signal);
      expect(await ended).toBe(130);
      expect(Buffer.concat(errors).toString()).toContain(`UPORT_INTERRUPTED: stopped by ${signal}`);
      expect(await names()).toEqual(before);
    }
    expect(await readFile(at('out'), 'utf8')).toBe('as it was');
  });
});
