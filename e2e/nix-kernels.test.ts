import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import {
  fixture,
  missingHost,
  missingToolchains,
  parseArguments,
  REPOSITORY,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { binfmtModule } from './support/binfmt-module.ts';
import { busybox } from './support/busybox.ts';
import { offlineFlags } from './support/emitters.ts';
import { nixIn, nixMissing } from './support/nix.ts';
import { buildClosure, closureMissing } from './support/nix-closure.ts';
import { NQUEENS } from './support/nqueens.ts';
import { openPodman } from './support/podman.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, notRoot } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const missing = nixMissing ?? closureMissing('riscv64') ?? missingToolchains('x86_64');
const HOSTS = SIMULATED_HOSTS.filter(
  ({ name, arch }) => arch !== 'x86_64' && name !== 'aarch64-linux-6.1',
);

const BINFMT = '/proc/sys/fs/binfmt_misc';

/** A start under a simulated CPU takes seconds: one CPU always, the others when asked. */
function elsewhere(arch: string): string | undefined {
  const always = arch === 'aarch64' || process.env.UPORT_NIX_KERNELS === 'all';
  return always ? undefined : 'UPORT_NIX_KERNELS=all runs it';
}

describe.skipIf(missing)(named('what Nix made', missing), () => {
  let folder: string;
  /** The program of the package that `nix build` made of the emitter's flake. */
  let packaged: string;
  /** A universal file and an image of a dynamic program with its closure. */
  let closure: { universal: string; image: string };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const level = ['--compression-level', '1', ...offlineFlags()];
    const outDir = path.join(folder, 'nix');
    const emitted = await uport(['build', NQUEENS, '--emit', 'nix', '-o', outDir, ...level]);
    expect(emitted, emitted.stderr).toMatchObject({ status: 0 });
    const root = path.join(folder, 'built');
    await mkdir(root);
    const built = await nixIn(root)('nix-build', ['--no-out-link', path.join(outDir, 'nix')]);
    expect(built, built.stderr).toMatchObject({ status: 0 });
    packaged = path.join(root, built.stdout.trim(), 'bin/nqueens');

    await mkdir(path.join(folder, 'closure'));
    const made = await buildClosure(path.join(folder, 'closure'), 'riscv64');
    const dist = path.join(folder, 'dist');
    const emit = ['--emit', 'oci,universal', '-o', dist, ...level];
    const finished = await uport(['build', path.join(made.root, made.wrapped), ...emit]);
    expect(finished, finished.stderr).toMatchObject({ status: 0 });
    closure = { universal: path.join(dist, 'hello-wrapped'), image: path.join(dist, 'oci') };
  });
  afterAll(() => removeFolder(folder));

  const GREETED = /^hello from riscv64: words from the store\nargv0 (\S+)\na\nb c\n/;

  test('the closure runs here, with its loader, libraries and data from the file', async () => {
    const env = { HOME: folder, UPORT_CACHE_DIR: path.join(folder, 'uport-cache') };
    const ran = await start(closure.universal, ['a', 'b c'], { env });
    expect(ran, ran.stderr).toMatchObject({ status: 3, stdout: expect.stringMatching(GREETED) });
    expect(GREETED.exec(ran.stdout)?.[1]).toBe(closure.universal);
    expect(ran.stdout).toMatch(/exe hello\n$/);
  });

  const noPodman = missingTools('podman', 'runc') ?? notRoot('podman');
  test.skipIf(noPodman)(named('the closure runs as an image', noPodman), async () => {
    const podman = await openPodman();
    try {
      const ran = await podman.run(await podman.pull(closure.image), ['a', 'b c']);
      expect(ran).toMatchObject({ status: 3 });
      expect(Buffer.from(ran.stdout).toString()).toMatch(GREETED);
    } finally {
      await podman.remove();
    }
  });

  describe.each(HOSTS)("on $name's kernel", ({ name, arch }) => {
    const lacking = missingHost(name);
    const skipped = lacking ?? elsewhere(arch);
    test.skipIf(skipped)(
      named('the package and the closure run for an ordinary user', skipped),
      async () => {
        const tools = await busybox(arch, AbortSignal.timeout(300_000));
        const files: Record<string, Parameters<typeof runOnKernel>[1][string]> = {
          '/cache': { directory: true, mode: 0o700, owner: 1000 },
          '/app/nqueens': { copy: packaged, mode: 0o755 },
          '/app/hello': { copy: closure.universal, mode: 0o755 },
        };
        for (const tool of ['busybox', 'sh', 'dd', 'mkdir', 'chmod', 'id', 'rm', 'uname']) {
          files[`/bin/${tool}`] = { copy: tools, mode: 0o755 };
        }
        const common = { env: ['UPORT_CACHE_DIR=/cache/uport', 'PATH=/bin'], uid: 1000 };
        const { results } = await runOnKernel(name, files, [
          { ...common, argv: ['/app/nqueens', '6'], seconds: 120 },
          { ...common, argv: ['/app/hello', 'a', 'b c'], seconds: 120 },
        ]);
        const [queens, hello] = results.map(({ status, stdout, stderr }) => ({
          status,
          stdout: Buffer.from(stdout).toString(),
          stderr: Buffer.from(stderr).toString(),
        }));
        expect(queens, queens?.stderr).toMatchObject({ status: 0 });
        expect(queens?.stdout).toContain('4 solutions for 6 queens\n');
        expect(hello, hello?.stderr).toMatchObject({ status: 3 });
        // Natively its loader and libraries come from the file; a path of its own that it opens does not.
        const data = arch === 'riscv64' ? 'no data' : 'words from the store';
        const greeting = `hello from riscv64: ${data}\nargv0 /app/hello\na\nb c\n`;
        expect(hello?.stdout.slice(0, greeting.length)).toBe(greeting);
      },
      400_000,
    );
  });
});

/** What NixOS writes for `boot.binfmt.registrations`; it puts links to the interpreters into /run/binfmt. */
const NIXOS_LINES = `
  registrations: map (name:
    let
      each = { recognitionType = "magic"; offset = null; openBinary = false; matchCredentials = false; }
        // registrations.\${name};
      flag = letter: set: if set then letter else "";
    in
    {
      inherit name;
      inherit (each) interpreter;
      line = ":\${name}:M:\${toString each.offset}:\${each.magicOrExtension}:\${toString each.mask}"
        + ":/run/binfmt/\${name}:"
        + flag "P" each.preserveArgvZero + flag "O" each.openBinary
        + flag "C" each.matchCredentials + flag "F" each.fixBinary;
    }
  ) (builtins.attrNames registrations)`;

describe.each(HOSTS)("what the NixOS module registers, on $name's kernel", ({ name, arch }) => {
  const guests = ['riscv64', 's390x'].filter((guest) => guest !== arch);
  const lacking =
    nixMissing ?? missingHost(name) ?? missingToolchains(...guests, 'm68k') ?? elsewhere(arch);
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => removeFolder(folder));

  test.skipIf(lacking)(
    named('starts programs of other CPUs and FatELF files', lacking),
    async () => {
      const signal = AbortSignal.timeout(300_000);
      const expression = `
        let
          lib = import ${REPOSITORY}/e2e/support/nixpkgs/lib.nix;
          module = import ${REPOSITORY}/nix/module.nix {
            inherit lib;
            config.programs.uport.binfmt = {
              enable = true;
              subjects = [ ${[...guests, 'fatelf'].map((each) => `"${each}"`).join(' ')} ];
              interpreters = "/opt";
            };
          };
        in (${NIXOS_LINES}) module.config.boot.binfmt.registrations`;
      const args = ['--eval', '--strict', '--json', '-E', expression];
      const read = await nixIn(folder)('nix-instantiate', args);
      expect(read.status, read.stderr).toBe(0);
      const lines: { name: string; interpreter: string; line: string }[] = JSON.parse(read.stdout);
      expect(lines.map((each) => each.name)).toEqual([
        'uport-fatelf',
        ...guests.map((guest) => `uport-${guest}`),
      ]);

      const at = (file: string) => path.join(folder, file);
      const [guest = ''] = guests;
      const hello = await fixture('hello', guest);
      const glued = await uport([
        ...['fatelf', 'glue', at('fat'), await fixture('hello', 'm68k'), hello],
      ]);
      expect(glued, glued.stderr).toMatchObject({ status: 0 });
      const emulators = inject('emulators').slice('dir:'.length);
      const executable = (copy: string) => ({ copy, mode: 0o755 });
      const files: Record<string, Parameters<typeof runOnKernel>[1][string]> = {
        '/box/bin/busybox': executable(await busybox(arch, signal)),
        '/box/lib/binfmt_misc.ko': { content: await binfmtModule(name, signal) },
        '/box/opt/launch': executable(
          path.join(REPOSITORY, 'packages/launcher/prebuilt', arch, 'launch'),
        ),
        '/box/app/fat': executable(at('fat')),
      };
      for (const each of guests) {
        const emulator = path.join(emulators, arch, `qemu-${each}`);
        files[`/box/opt/qemu-${each}`] = executable(emulator);
        files[`/box/app/${each}`] = executable(await fixture('arguments', each));
      }
      // The registrations last as long as the mount, and that as long as the command.
      const script = `
        for each in insmod ln mkdir mount; do busybox ln -sf busybox /bin/$each; done
        mkdir -p /run/binfmt
        [ -e ${BINFMT}/register ] || insmod /lib/binfmt_misc.ko 2>/dev/null
        mount -t binfmt_misc none ${BINFMT} || exit 101
        while [ "$1" != -- ]; do
          ln -sf "$2" "/run/binfmt/$1" && printf %s "$3" >${BINFMT}/register || exit 102
          shift 3
        done
        shift; exec "$@"`;
      const words = lines.flatMap(({ name: each, interpreter, line }) => [each, interpreter, line]);
      const registered = (...command: readonly string[]) => ({
        argv: ['/bin/busybox', 'sh', '-c', script, 'sh', ...words, '--', ...command],
        env: ['PATH=/bin'],
        root: '/box',
      });
      const { results } = await runOnKernel(name, files, [
        ...guests.map((each) => registered(`/app/${each}`, 'a', 'b c')),
        registered('/app/fat'),
      ]);
      for (const [index, ran] of results.entries()) {
        expect(ran, ran.stderr.toString()).toMatchObject({ status: 0, stderr: Buffer.of() });
        const guest = guests[index];
        if (guest === undefined) continue;
        expect(parseArguments(ran.stdout).argv).toEqual([`/app/${guest}`, 'a', 'b c']);
      }
    },
    400_000,
  );
});
