import { chmodSync, existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  AWKWARD_ARGUMENTS,
  findProgram,
  fixture,
  type HostCommand,
  missingHost,
  missingToolchains,
  parseArguments,
  RUNNING_CASES,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { busybox } from './support/busybox.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named, notRoot } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

/** The guests of universal files, and the compilers of their programs. */
const GUESTS = [
  { guest: 'riscv64', toolchain: 'riscv64' },
  { guest: 'x86_64', toolchain: 'x86_64' },
  { guest: 's390x', toolchain: 's390x' },
  { guest: 'i386', toolchain: 'i386' },
  { guest: 'arm', toolchain: 'armhf' },
  { guest: 'm68k', toolchain: 'm68k' },
];

const SHELLS = [
  { name: 'dash', package: 'dash', args: [] },
  { name: 'busybox', package: 'busybox-static', args: ['sh'] },
  { name: 'bash', package: 'bash', args: ['--posix'] },
  { name: 'ksh93', package: 'ksh', args: [] },
  { name: 'mksh', package: 'mksh', args: [] },
  { name: 'yash', package: 'yash', args: [] },
  { name: 'zsh', package: 'zsh', args: ['--emulate', 'sh'] },
] as const;

/** Of bytes as Latin-1, those that Node can hand to a program: text. */
const WORDS = AWKWARD_ARGUMENTS.map((word) => ({
  bytes: word,
  text: Buffer.from(word, 'latin1').toString('utf8'),
}));

let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  chmodSync(folder, 0o755);
});
afterAll(() => removeFolder(folder));

interface Universal {
  readonly outDir: string;
  readonly universal: string;
  readonly fatelf: string;
}

const built = new Map<string, Promise<Universal>>();

function universalOf(guest: string, toolchain: string): Promise<Universal> {
  const known = built.get(guest) ?? buildUniversal(guest, toolchain);
  built.set(guest, known);
  return known;
}

async function buildUniversal(guest: string, toolchain: string): Promise<Universal> {
  const program = path.join(folder, guest, 'probe');
  await mkdir(path.dirname(program), { recursive: true });
  await copyFile(await fixture('probe', toolchain), program);
  const outDir = path.join(folder, guest, 'dist');
  const flags = ['--emulators', inject('emulators'), '--compression-level', '3', '-o', outDir];
  const finished = await uport(['build', program, '--emit', 'universal,fatelf', ...flags]);
  expect(finished).toMatchObject({ status: 0 });
  const perHost = await uport(['build', program, '--emit', 'universal', '--per-host', ...flags]);
  expect(perHost).toMatchObject({ status: 0 });
  return {
    outDir,
    universal: path.join(outDir, 'probe'),
    fatelf: path.join(outDir, 'probe.fatelf'),
  };
}

/** An environment of its own, with an empty cache in the test's folder. */
async function freshHome(name: string): Promise<Record<string, string>> {
  const home = path.join(folder, `home-${name}`);
  await mkdir(home);
  return { HOME: home, XDG_CACHE_HOME: '', XDG_RUNTIME_DIR: '', UPORT_CACHE_DIR: '' };
}

describe.each(GUESTS)('a universal file of $guest', ({ guest, toolchain }) => {
  const missing = missingToolchains(toolchain);

  test.skipIf(missing)(named('is valid', missing), async () => {
    const { universal, fatelf, outDir } = await universalOf(guest, toolchain);
    for (const file of [universal, fatelf, path.join(outDir, 'probe-s390x')]) {
      expect(await uport(['validate', file])).toMatchObject({ status: 0 });
    }
    const inspected = await uport(['inspect', universal, '--json']);
    expect(JSON.parse(inspected.stdout)).toMatchObject({ form: 'universal', app: 'probe' });
    const one = await uport(['inspect', path.join(outDir, 'probe-s390x'), '--json']);
    const { hosts, size } = JSON.parse(one.stdout);
    expect(hosts).toMatchObject([{ host: 's390x' }]);
    // It has no other host's emulator.
    expect(2 * size).toBeLessThan(JSON.parse(inspected.stdout).size);
  });

  test.skipIf(missing)(named('runs here, cold and warm', missing), async () => {
    const { universal } = await universalOf(guest, toolchain);
    const env = await freshHome(`cold-${guest}`);
    for (const _ of ['cold', 'warm']) {
      const words = WORDS.map(({ text }) => text);
      const finished = await start(universal, ['arguments', ...words], { env });
      expect(finished.stderr).toBe('');
      const { argv, env: seen } = parseArguments(Buffer.from(finished.stdout, 'utf8'));
      const expected = ['arguments', ...WORDS.map(({ bytes }) => bytes)];
      expect(argv).toEqual([universal, ...expected]);
      expect(seen.filter((each) => each.startsWith('UPORT_'))).toEqual([]);
    }
    expect(await start(universal, ['status', '3'], { env })).toMatchObject({ status: 3 });
  });

  test.skipIf(missing)(named('is one plain program for each host', missing), async () => {
    const { outDir } = await universalOf(guest, toolchain);
    const env = await freshHome(`single-${guest}`);
    const file = path.join(outDir, 'probe-x86_64');
    const finished = await start(file, ['arguments', 'a b', ''], { env });
    expect(finished.stderr).toBe('');
    expect(parseArguments(Buffer.from(finished.stdout)).argv).toEqual([
      file,
      'arguments',
      'a b',
      '',
    ]);
  });
});

const lackingRiscv = missingToolchains('riscv64');

describe.each(SHELLS)('with $name as sh', (shell) => {
  const program = findProgram(shell.name);
  const missing =
    lackingRiscv ??
    (program ? undefined : `${shell.name} missing: apt-get install ${shell.package}`);

  test.skipIf(missing)(named('cold and warm, by sh FILE', missing), async () => {
    const { universal } = await universalOf('riscv64', 'riscv64');
    const env = await freshHome(`shell-${shell.name}`);
    for (const _ of ['cold', 'warm']) {
      const args = [...shell.args, universal, 'arguments', 'a b', '', '*', 'line\nfeed'];
      const finished = await start(program as string, args, { env });
      expect(finished.stderr).toBe('');
      const { argv } = parseArguments(Buffer.from(finished.stdout));
      expect(argv).toEqual([universal, 'arguments', 'a b', '', '*', 'line\nfeed']);
    }
  });

  const notBound = missing ?? notRoot('a mount');
  test.skipIf(notBound)(named('by execve, as /bin/sh', notBound), async () => {
    const { universal } = await universalOf('riscv64', 'riscv64');
    const env = await freshHome(`bin-sh-${shell.name}`);
    const sh = path.join(folder, `sh-${shell.name}`);
    // busybox and bash and zsh look at the name they are called by: the file is put in sh's place.
    await copyFile(program as string, sh);
    chmodSync(sh, 0o755);
    const script = 'mount --bind "$1" "$(readlink -f /bin/sh)" && shift && exec "$@"';
    for (const _ of ['cold', 'warm']) {
      const finished = await start(
        'unshare',
        ['--mount', 'bash', '-c', script, 'bash', sh, universal, 'status', '3'],
        { env },
      );
      expect(finished).toEqual({ status: 3, stdout: '', stderr: '' });
    }
  });
});

describe('a universal file', () => {
  test.skipIf(lackingRiscv)(
    named('is found by any name: link, PATH, spaces and newline, no slash', lackingRiscv),
    async () => {
      const { universal } = await universalOf('riscv64', 'riscv64');
      const env = await freshHome('names');
      const odd = path.join(folder, 'odd name\nwith newline');
      await mkdir(odd);
      await symlink(universal, path.join(odd, 'li nk'));
      await copyFile(universal, path.join(odd, 'copy'));
      const hello = RUNNING_CASES[0];
      const runs = [
        start(path.join(odd, 'li nk'), [], { env }),
        start(path.join(odd, 'copy'), [], { env }),
        start('sh', ['-c', 'exec copy'], { env: { ...env, PATH: `${odd}:${process.env.PATH}` } }),
        start('sh', ['copy'], { env, cwd: odd }),
      ];
      for (const finished of await Promise.all(runs)) {
        hello?.check(
          {
            stdout: Buffer.from(finished.stdout),
            stderr: Buffer.from(finished.stderr),
            status: finished.status,
            signal: 0,
          },
          { guest: 'riscv64', argv0: '' },
        );
      }
    },
  );

  const fish = findProgram('fish');
  const lackingFish = lackingRiscv ?? (fish ? undefined : 'fish missing: apt-get install fish');
  test.skipIf(lackingFish)(named('starts from fish', lackingFish), async () => {
    const { universal } = await universalOf('riscv64', 'riscv64');
    const env = await freshHome('fish');
    const finished = await start(fish as string, ['-c', `${universal} status 3`], { env });
    expect(finished.status).toBe(3);
  });

  const lackingSlice = missingToolchains('riscv64', 'x86_64');
  test.skipIf(lackingSlice)(
    named('runs native code where a slice was given', lackingSlice),
    async () => {
      const program = path.join(folder, 'sliced');
      await copyFile(await fixture('probe', 'riscv64'), program);
      const outDir = path.join(folder, 'sliced-dist');
      const slice = await fixture('probe', 'x86_64');
      const flags = ['--emulators', inject('emulators'), '--compression-level', '1', '-o', outDir];
      const finished = await uport([
        'build',
        program,
        ...['--emit', 'universal', '--slice', `amd64=${slice}`, '--host', 'amd64,arm64'],
        ...flags,
      ]);
      expect(finished).toMatchObject({ status: 0 });
      const env = { ...(await freshHome('sliced')), UPORT_DEBUG: '1' };
      const ran = await start(path.join(outDir, 'sliced'), [], { env });
      expect(ran.stdout).toBe('hello from a 64-bit lsb program\n');
      expect(ran.stderr).toMatch(/started directly/);
      expect(ran.stderr).not.toMatch(/qemu/);
    },
  );

  test.skipIf(lackingRiscv)(
    named('keeps a folder: links, modes, empty folders, odd names; programs by name', lackingRiscv),
    async () => {
      const app = path.join(folder, 'vendor');
      await mkdir(path.join(app, 'bin'), { recursive: true });
      await mkdir(path.join(app, 'empty'));
      await copyFile(await fixture('probe', 'riscv64'), path.join(app, 'bin', 'probe'));
      await symlink('probe', path.join(app, 'bin', 'link'));
      await writeFile(Buffer.from(`${app}/odd \xff\n`, 'latin1'), 'odd');
      await writeFile(path.join(app, 'private'), 'x', { mode: 0o640 });
      const outDir = path.join(folder, 'vendor-dist');
      const flags = ['--emulators', inject('emulators'), '--compression-level', '1', '-o', outDir];
      const finished = await uport([
        'build',
        app,
        ...['--entrypoint', 'bin/probe', '--emit', 'universal', '--host', 'amd64,arm64'],
        ...['--bin', 'first=bin/probe', '--bin', 'second=bin/link'],
        ...flags,
      ]);
      expect(finished).toMatchObject({ status: 0 });
      const file = path.join(outDir, 'vendor');
      await symlink('vendor', path.join(outDir, 'second'));
      const env = await freshHome('vendor');
      expect(await start(file, ['status', '4'], { env })).toMatchObject({ status: 4 });
      expect(await start(path.join(outDir, 'second'), ['status', '5'], { env })).toMatchObject({
        status: 5,
      });
      const extracted = path.join(folder, 'extracted');
      const env2 = { ...env, UPORT_EXTRACT: extracted };
      expect(await start(file, [], { env: env2 })).toMatchObject({ status: 0 });
      const found = await start('find', [extracted, '-name', 'odd*', '-o', '-name', 'empty']);
      expect(found.stdout).toContain('empty');
      expect(found.stdout).toContain('odd');
      const privateFile = (await start('find', [extracted, '-name', 'private'])).stdout.trim();
      expect((await stat(privateFile)).mode & 0o777).toBe(0o640);
    },
  );

  test.skipIf(lackingRiscv)(named('tells what is inside', lackingRiscv), async () => {
    const { universal } = await universalOf('riscv64', 'riscv64');
    const env = { ...(await freshHome('info')), UPORT_INFO: '1' };
    const finished = await start(universal, ['status', '3'], { env });
    expect(finished.status).toBe(0);
    expect(finished.stdout).toContain('s390x');
    expect(finished.stdout).toContain('probe');
  });

  test.skipIf(lackingRiscv)(
    named('notices a cache entry that was written to', lackingRiscv),
    async () => {
      const { universal } = await universalOf('riscv64', 'riscv64');
      const env = await freshHome('corrupt');
      expect(await start(universal, ['status', '3'], { env })).toMatchObject({ status: 3 });
      const found = await start('find', [String(env.HOME), '-type', 'f', '-size', '+0']);
      for (const file of found.stdout.trim().split('\n')) {
        if (!existsSync(file)) continue;
        const bytes = await readFile(file);
        bytes.fill(0x41, bytes.length >> 1);
        await writeFile(file, bytes);
        const finished = await start(universal, ['status', '3'], { env });
        expect([file, finished.status, finished.stderr]).toEqual([file, 3, '']);
      }
    },
  );
});

const FOREIGN = SIMULATED_HOSTS.filter(({ arch }) => arch !== 'x86_64');

describe.each(FOREIGN)("on $name's kernel", ({ name, arch }) => {
  const missing = missingHost(name);

  test.skipIf(missing)(
    named('every guest runs for an ordinary user, from one file', missing),
    async () => {
      const signal = AbortSignal.timeout(300_000);
      const tools = await busybox(arch, signal);
      const guests = GUESTS.filter(({ toolchain }) => !missingToolchains(toolchain));
      const files: Record<string, Parameters<typeof runOnKernel>[1][string]> = {
        '/cache': { directory: true, mode: 0o700, owner: 1000 },
        '/bin/busybox': { copy: tools, mode: 0o755 },
      };
      for (const tool of ['sh', 'dd', 'mkdir', 'chmod', 'id', 'rm', 'uname']) {
        files[`/bin/${tool}`] = { copy: tools, mode: 0o755 };
      }
      const runs: { guest: string; command: HostCommand }[] = [];
      for (const { guest, toolchain } of guests) {
        const { universal, outDir } = await universalOf(guest, toolchain);
        files[`/apps/${guest}`] = { copy: universal, mode: 0o755 };
        const env = ['UPORT_CACHE_DIR=/cache/uport', 'PATH=/bin', 'UPORT_DEBUG='];
        const common = { env, uid: 1000, noNewPrivileges: true, dropCapabilities: true };
        const start = (place: string) =>
          runs.push({ guest, command: { ...common, argv: [`${place}/${guest}`] } });
        start('/apps');
        // A start takes seconds under a simulated CPU: one guest goes through warm starts too.
        if (guest !== guests[0]?.guest) continue;
        files[`/single/${guest}`] = { copy: path.join(outDir, `probe-${arch}`), mode: 0o755 };
        start('/apps');
        start('/single');
        start('/single');
      }
      const { results: first, pageSize } = await runOnKernel(
        name,
        files,
        runs.map(({ command }) => command),
      );
      const results = [...first];
      // A busy machine may use up the time of a start under a simulated CPU: once more, alone.
      for (const [index, result] of first.entries()) {
        const command = runs[index]?.command;
        if (result.status !== -1 || command === undefined) continue;
        const again = await runOnKernel(name, files, [command]);
        if (again.results[0]) results[index] = again.results[0];
      }
      expect(pageSize).toBe(arch === 'ppc64le' ? 65536 : 4096);
      const [hello] = RUNNING_CASES;
      const faults = runs.flatMap(({ guest, command }, index) => {
        const result = results[index];
        try {
          if (!result || !hello) throw new Error('it did not run');
          hello.check(result, { guest, argv0: '' });
          return [];
        } catch (error) {
          return [`${command.argv.join(' ')}: ${error}\n${result?.stderr}`];
        }
      });
      expect(faults).toEqual([]);
    },
    600_000,
  );
});
