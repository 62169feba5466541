import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ManifestCpu } from './manifest.ts';
import { encodeFatElf, type FatPart } from './testing/fatelf.ts';
import { COMPILER, COMPILER_HINT, compileShow } from './testing/kernel.ts';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  quote,
  type RunOptions,
  run,
  SHOW_ARGUMENTS,
  THIS_HOST,
} from './testing/launch.ts';
import { encodePayload } from './testing/payload.ts';
import { exampleApp, launcherBytes } from './testing/universal.ts';

const host = THIS_HOST ?? '';
const OWN: ManifestCpu | undefined = (CPUS as Readonly<Record<string, ManifestCpu>>)[host];
if (!OWN) console.warn('fatelf.test.ts: there is no launcher for this machine');
if (!COMPILER) console.warn(`fatelf.test.ts: ${COMPILER_HINT}`);

const MOUNT = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc';
const PRIVATE = ['-Urm', 'sh', '-ec'];
const canRegister =
  run('unshare', [...PRIVATE, `${MOUNT}; test -w /proc/sys/fs/binfmt_misc/register`]).status === 0;
if (!canRegister) {
  console.warn('fatelf.test.ts: needs user namespaces and a private binfmt_misc (Linux >= 6.7)');
}

const foreign = (cpu: ManifestCpu, content = ''): FatPart => ({
  cpu,
  bytes: Buffer.concat([elfHeader(cpu), Buffer.from(content)]),
});

describe.skipIf(!OWN || !COMPILER)('FatELF files', () => {
  let bench: Bench;
  let launch: string;
  let native: Buffer;
  const own = (): FatPart => ({ cpu: OWN as ManifestCpu, bytes: native });
  const cache = () => bench.at('cache');
  const copies = () => readdirSync(cache()).filter((name) => name.endsWith('-part'));
  const copyOf = (name: string) => {
    const [folder, ...more] = copies();
    expect(more).toEqual([]);
    return `${cache()}/${folder}/${name}`;
  };
  const start = (args: readonly string[], options: RunOptions = {}) =>
    run(launch, args, { ...options, env: { UPORT_CACHE_DIR: cache(), ...options.env } });

  beforeAll(() => {
    bench = makeBench();
    native = readFileSync(compileShow(bench, 'show'));
    bench.remove();
  });
  beforeEach(() => {
    bench = makeBench();
    bench.program('.uport/show', SHOW_ARGUMENTS);
    bench.program('.uport/tail', '#!/bin/sh\ntail -c 8 "$3"\n');
    launch = bench.launcher(host, [
      { name: 'm68k', elf: CPUS.m68k, path: 'show', args: ['own'] },
      { name: 'hppa', elf: CPUS.hppa, path: 'tail', args: [] },
    ]);
  });
  afterEach(() => bench.remove());

  test("the host's own program is taken, with every argument as it is", () => {
    const file = bench.program('app', encodeFatElf([foreign(CPUS.m68k), own()]));
    const args = ['', ' ', 'a\nb', '--', '-x', 'ü'];
    const ran = start(['--argv0', 'name', file, ...args]);
    expect({ ...ran, stdout: undefined }).toMatchObject({ status: 0, stderr: '' });
    expect(fields(ran.stdout)).toEqual(['name', ...args.slice(0, 5), '\xc3\xbc']);
  });

  test('else one that there is an emulator for', () => {
    const parts = [foreign(CPUS.mips), foreign(CPUS.m68k)];
    const file = bench.program('app', encodeFatElf(parts));
    const ran = start([file, 'x']);
    expect(fields(ran.stdout)).toEqual(['own', '-0', file, copyOf('app'), 'x']);
    expect(readFileSync(copyOf('app'))).toEqual(elfHeader(CPUS.m68k));
  });

  test('UPORT_PREFER=emulated takes that one first', () => {
    const file = bench.program('app', encodeFatElf([own(), foreign(CPUS.m68k)]));
    const ran = start([file], { env: { UPORT_PREFER: 'emulated' } });
    expect(fields(ran.stdout)[0]).toBe('own');
  });

  test('what cannot run is told, with all that is there', () => {
    const file = bench.program('app', encodeFatElf([foreign(CPUS.mips), foreign(CPUS.riscv64)]));
    const ran = start([file]);
    expect(ran.status).toBe(126);
    expect(ran.stderr).toContain(`${file}: has programs for mips, riscv64, this host is ${host}`);
  });

  test('trailing data belongs to every program', () => {
    const parts = [foreign(CPUS.hppa, 'program'), foreign(CPUS.mips)];
    const file = bench.program('app', encodeFatElf(parts, 'trailing'));
    expect(start([file]).stdout).toBe('trailing');
    const copy = Buffer.concat([parts[0]?.bytes ?? Buffer.of(), Buffer.from('trailing')]);
    expect(readFileSync(copyOf('app'))).toEqual(copy);
  });

  test('a script whose interpreter is one', () => {
    const file = bench.program('app', encodeFatElf([own()]));
    const script = bench.program('script', `#!${file} -a b\n`);
    expect(fields(start([script, 'x']).stdout)).toEqual([file, '-a b', script, 'x']);
  });

  describe('the copy', () => {
    const inode = (file: string) => statSync(file).ino;

    test('is made once, but not trusted when the file is younger than its clock tells', async () => {
      const file = bench.program('app', encodeFatElf([own()]));
      start([file]);
      const early = inode(copyOf('app'));
      // The copy must be two seconds younger than the file.
      await sleep(2200);
      start([file]);
      const first = inode(copyOf('app'));
      expect(first).not.toBe(early);
      start([file]);
      expect(inode(copyOf('app'))).toBe(first);

      // Somebody wrote to it.
      utimesSync(copyOf('app'), 5, 5);
      start([file]);
      expect(inode(copyOf('app'))).not.toBe(first);
    });

    test('of a changed file is another', () => {
      const file = bench.program('app', encodeFatElf([foreign(CPUS.hppa, 'one')], '-before-'));
      expect(start([file]).stdout).toBe('-before-');
      bench.program('app', encodeFatElf([foreign(CPUS.hppa, 'one')], '-after!-'));
      expect(start([file]).stdout).toBe('-after!-');
      expect(copies()).toHaveLength(2);
    });

    test('what a killed process left is removed', () => {
      const file = bench.program('app', encodeFatElf([own()]));
      start([file]);
      const [name] = copies();
      bench.program(`cache/${name}.tmp/app`, 'half');
      bench.program('app', encodeFatElf([own()], 'again'));
      expect(start([file]).status).toBe(0);
      expect(readdirSync(cache()).filter((one) => one.endsWith('.tmp'))).toEqual([]);
    });

    test('many first starts at once', async () => {
      const file = bench.program('app', encodeFatElf([own()], 'x'.repeat(1 << 20)));
      const runs = Array.from(
        { length: 30 },
        (_, i) =>
          new Promise<string>((resolve, reject) => {
            const child = spawn(launch, [file, String(i)], {
              env: { UPORT_CACHE_DIR: cache() },
              stdio: ['ignore', 'pipe', 'inherit'],
            });
            let text = '';
            child.stdout.on('data', (chunk) => {
              text += chunk;
            });
            child.on('error', reject).on('close', () => resolve(text));
          }),
      );
      expect(await Promise.all(runs)).toEqual(runs.map((_, i) => `${file}\0${i}\0`));
      expect(copies()).toHaveLength(1);
    });

    test('lies in memory where there is no other place', () => {
      bench.program('app', encodeFatElf([own()]));
      bench.program('emulated', encodeFatElf([foreign(CPUS.hppa)], 'trailing'));
      const ro = (at: string) => `mount -t tmpfs -o ro none ${at}`;
      const script = `mkdir ${quote(bench.at('h'))}; for at in /var/tmp /dev/shm ${quote(bench.at('h'))}; do ${ro('$at')}; done
        mount --bind ${quote(bench.folder)} /mnt; mount -o remount,ro,bind /mnt; ${ro('/tmp')}
        cd /mnt; ./.uport/launch ./app x; ./.uport/launch ./emulated`;
      const ran = run('unshare', [...PRIVATE, script], { env: { HOME: bench.at('h') } });
      expect(ran.stderr).toBe('');
      expect(ran.stdout).toBe('./app\0x\0trailing');
      expect(existsSync(cache())).toBe(false);
    });
  });

  describe('damaged', () => {
    const good = () => encodeFatElf([foreign(CPUS.mips), own(), foreign(CPUS.m68k)]);
    test.each([
      ['no program', (bytes: Buffer) => bytes.writeUInt8(0, 6), /holds no program/],
      ['more programs than bytes', (bytes: Buffer) => bytes.writeUInt8(255, 6), /outside/],
      ['another version', (bytes: Buffer) => bytes.writeUInt16LE(2, 4), /version 2/],
      ['the reserved byte', (bytes: Buffer) => bytes.writeUInt8(1, 7), /table is wrong/],
      ['a place that is no page', (bytes: Buffer) => bytes.writeBigUInt64LE(5n, 40), /outside/],
      ['a program in the table', (bytes: Buffer) => bytes.writeBigUInt64LE(0n, 40), /outside/],
      [
        'a place past the end',
        (bytes: Buffer) => bytes.writeBigUInt64LE(0xfffffffffffff000n, 40),
        /outside/,
      ],
      ['a size past the end', (bytes: Buffer) => bytes.writeBigUInt64LE(1n << 63n, 48), /outside/],
      ['another OSABI', (bytes: Buffer) => bytes.writeUInt8(9, 34), /not the one that its table/],
      [
        'another program',
        (bytes: Buffer) => bytes.fill(0, Number(bytes.readBigUInt64LE(40)), 8300),
        /not the one that its table/,
      ],
    ])('%s', (_, damage, message) => {
      const bytes = good();
      damage(bytes);
      const ran = start([bench.program('app', bytes)]);
      expect(ran.stderr).toMatch(message);
      expect(ran).toMatchObject({ status: 126, stdout: '' });
    });

    test('any bytes in the table: the right program or a clear error', () => {
      // No program of this host: one cut short would crash by itself.
      const bytes = encodeFatElf([foreign(CPUS.mips), foreign(CPUS.m68k), foreign(CPUS.riscv64)]);
      const size = 8 + 3 * 24;
      const change = fc.tuple(
        fc.integer({ min: 4, max: size - 1 }),
        fc.integer({ min: 0, max: 255 }),
      );
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
          const twisted = Buffer.from(bytes);
          for (const [at, value] of changes) twisted[at] = value;
          const ran = start([bench.program('app', twisted), 'x']);
          expect(ran.signal).toBeNull();
          expect([0, 126]).toContain(ran.status);
          if (ran.status === 126) expect(ran.stderr).toMatch(/^uport: .*app: /);
          else expect(fields(ran.stdout).at(-1)).toBe('x');
        }),
        { numRuns: 300 },
      );
    });

    test('a table that is cut off', () => {
      for (const size of [8, 9, 31, 79]) {
        const ran = start([bench.program('app', good().subarray(0, size))]);
        expect(ran).toMatchObject({ status: 126, stdout: '' });
        expect(ran.stderr).toContain('table is wrong or cut off');
      }
    });
  });

  describe('with a payload', () => {
    function universalFile(name: string): { file: string; id: string } {
      const payload = encodePayload(exampleApp(host));
      const launcher = { cpu: OWN as ManifestCpu, bytes: launcherBytes(host) };
      const text = payload.bytes.toString('latin1');
      return { file: bench.program(name, encodeFatElf([launcher], text)), id: payload.id };
    }

    test('it is a universal file: the program is chosen by argv[0]', () => {
      const { file, id } = universalFile('script');
      expect(fields(start([file, '--unpack', '', 'b']).stdout)).toEqual(['--unpack', '', 'b']);
      expect(existsSync(`${cache()}/${id}-${host}/launch`)).toBe(true);
      expect(fields(start(['--argv0', '/x/foreign', file, 'c']).stdout)).toEqual([
        ...['-cpu', 'a b', '-0', '/x/foreign'],
        ...[`${cache()}/${id}-${host}/root/bin/foreign`, 'c'],
      ]);
    });

    test.skipIf(!canRegister)('started by the kernel', () => {
      const { file } = universalFile('script');
      expect(byKernel(`${quote(file)} --manifest '' -- c`)).toEqual(['--manifest', '', '--', 'c']);
    });
  });

  /** Runs shell commands where the kernel starts FatELF files by the launcher. */
  function byKernel(commands: string, flags = 'FP'): readonly string[] {
    const line = `:fatelf:M::\\xfa\\x70\\x0e\\x1f\\x01\\x00::${launch}:${flags}`;
    const script = `${MOUNT}; printf %s ${quote(line)} >/proc/sys/fs/binfmt_misc/register
      cd ${quote(bench.folder)}; ${commands}`;
    const ran = run('unshare', [...PRIVATE, script], { env: { UPORT_CACHE_DIR: cache() } });
    expect(ran.stderr).toBe('');
    return fields(ran.stdout);
  }

  describe.skipIf(!canRegister)('started by the kernel', () => {
    beforeEach(() => {
      bench.program('bin/native', encodeFatElf([foreign(CPUS.m68k), own()]));
      bench.program('bin/emulated', encodeFatElf([foreign(CPUS.m68k), foreign(CPUS.mips)]));
    });

    test('argv[0] and the arguments are as given; options are none', () => {
      expect(byKernel(`PATH=bin:$PATH; native --probe '' -- x`)).toEqual([
        ...['native', '--probe', '', '--', 'x'],
      ]);
      expect(byKernel(`cd bin; env -i UPORT_CACHE_DIR=${quote(cache())} ./native`)).toEqual([
        './native',
      ]);
    });

    test('by the emulators beside the launcher', () => {
      const [own_, zero, name, , ...rest] = byKernel('bin/emulated -x');
      expect([own_, zero, name, ...rest]).toEqual(['own', '-0', 'bin/emulated', '-x']);
    });

    test('by an emulator that is registered', () => {
      const magic = '\\x7fELF\\x01\\x02\\x01';
      const mips = `:mips:M::${magic}::${bench.program('mips', SHOW_ARGUMENTS)}:P`;
      bench.program('bin/mips', encodeFatElf([foreign(CPUS.riscv64), foreign(CPUS.mips)]));
      const [path, ...rest] = byKernel(
        `printf %s ${quote(mips)} >/proc/sys/fs/binfmt_misc/register; bin/mips a`,
      );
      expect(path).toBe(copyOf('mips'));
      expect(rest).toEqual(['bin/mips', 'a']);
    });

    test('a manifest beside the app is not the launcher’s', () => {
      bench.program('bin/manifest', 'uport-manifest 9\n');
      expect(byKernel('bin/native')).toEqual(['bin/native']);
    });

    test('without the flag P, as on kernels before 5.12', () => {
      expect(byKernel('bin/native a b', 'F')).toEqual(['bin/native', 'a', 'b']);
    });
  });
});
