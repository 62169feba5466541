import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { hostArch } from '@uport/core';
import { findProgram, REPOSITORY } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  inStore,
  NIX_RELEASES,
  nixAtItsPlace,
  nixIn,
  nixMissing,
  noUsualPlace,
  skipMissingNixes,
} from './support/nix.ts';
import { buildClosure, closureMissing } from './support/nix-closure.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { errorCode, start, uport } from './support/uport.ts';

const SOLVED = '4 solutions for 6 queens\n';
const HERE = hostArch();
const SYSTEM = HERE.nix as string;
/** This machine's CPU and one of the other byte order. */
const ARCHES = [HERE.name, HERE.name === 's390x' ? 'x86_64' : 's390x'];
const HOSTS = ['--host', ARCHES.join(',')];
const LEVEL = ['--compression-level', '1'];

const lacking = nixMissing ?? missingTools('busybox');

/** A flake with packages that know nothing of nixpkgs, nor uport of them. */
const packagesFlake = (tools: string) => `{
  inputs.uport.url = "path:${tools}";
  outputs = { self, uport }:
    let
      system = "${SYSTEM}";
      busybox = "\${self}/busybox";
      install = name: script: derivation {
        inherit name system;
        builder = busybox;
        args = [ "sh" "-ec" "\${busybox} mkdir -p $out/bin; \${script}" ];
      };
      copy = target: "\${busybox} cp \${self}/nqueens \\"$out/bin/\${target}\\"";
    in
    {
      packages.\${system} = rec {
        nqueens = install "nqueens-1.2" (copy "nqueens");
        odd = install "odd" (copy ".an odd name!") // { meta.mainProgram = ".an odd name!"; };
        none = install "none" "";
        universal = import ./dist/nix/universal.nix;
        image = uport.lib.mkImage {
          inherit system;
          package = nqueens;
          hosts = [ ${ARCHES.map((arch) => `"${arch}-linux"`).join(' ')} ];
          extraFlags = [ "--compression-level=1" ];
        };
      };
      bundlers.\${system} = {
        default = uport.lib.mkBundler {
          inherit system;
          extraFlags = [ "--compression-level=1" ];
        };
        wide = uport.lib.mkBundler {
          inherit system;
          hosts = [ "${SYSTEM}" "mips64el-linux" ];
        };
      };
    };
}`;

let folder: string;
/** What `uport nix flake` wrote. */
let flake: string;
/** The folder of that flake. */
let packages: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  flake = path.join(folder, 'uport-nix');
  const emulators = ['--emulators', inject('emulators')];
  const args = ['nix', 'flake', '--guest', 'riscv64', ...HOSTS, ...emulators, '-o', flake];
  const written = await uport(args);
  expect(written, written.stderr).toMatchObject({ status: 0 });
  expect(written.stdout).toContain(`nix bundle --bundler path:${flake} PACKAGE\n`);
  if (lacking) return;
  packages = path.join(folder, 'packages');
  await mkdir(packages);
  await copyFile(NQUEENS, path.join(packages, 'nqueens'));
  const universal = ['build', NQUEENS, '--emit', 'nix', ...HOSTS, ...LEVEL, ...emulators];
  const emitted = await uport([...universal, '-o', path.join(packages, 'dist')]);
  expect(emitted, emitted.stderr).toMatchObject({ status: 0 });
  await copyFile(findProgram('busybox') as string, path.join(packages, 'busybox'));
});
afterAll(() => removeFolder(folder));

test('without Nix it is a folder: the command in it starts with its own Node', async () => {
  const tools = path.join(flake, 'tools');
  expect(await readdir(path.join(tools, 'emulators'))).toEqual([...ARCHES].sort());
  const [system] = await readdir(path.join(tools, 'node'));
  const node = path.join(tools, 'node', system as string);
  const args = ['--library-path', path.join(node, 'lib'), path.join(node, 'bin/node')];
  const command = path.join(tools, 'command/node_modules/uport/bin/uport.js');
  const ran = await start(path.join(node, 'loader'), [...args, command, 'inspect', NQUEENS]);
  expect(ran, ran.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('riscv64') });

  // From there it is written again, with the same Node. In a Nix store everything is read-only.
  const file = 'tools/command/node_modules/uport/bin/uport.js';
  const folderOf = (place: string) => path.dirname(path.join(place, file));
  await chmod(folderOf(flake), 0o555);
  const twice = path.join(folder, 'twice');
  const words = ['nix', 'flake', '--guest', 'riscv64', '--host', 'riscv64', '-o', twice];
  const again = await start(path.join(node, 'loader'), [...args, command, ...words]);
  await chmod(folderOf(flake), 0o755);
  expect(again, again.stderr).toMatchObject({ status: 0 });
  expect((await stat(folderOf(twice))).mode & 0o777).toBe(0o755);
  for (const name of ['bin/node', 'loader']) {
    const [made, first] = [twice, flake].map((each) =>
      readFile(path.join(each, 'tools/node', system as string, name)),
    );
    expect((await made)?.equals((await first) as Buffer), name).toBe(true);
  }
  // What another loader started is not known.
  const bare = path.join(folder, 'ld.so');
  await copyFile(path.join(node, 'loader'), bare);
  await chmod(bare, 0o755);
  const elsewhere = [...words.slice(0, -1), path.join(twice, 'a/b')];
  const unknown = await start(bare, [...args, command, ...elsewhere]);
  expect(errorCode(unknown)).toBe('UPORT_NODE_IS_LOADER');
  // Folders that were made for it alone go again.
  expect(await readdir(twice)).not.toContain('a');
});

test("it is written anew, but not over somebody else's folder", async () => {
  const args = ['nix', 'flake', '--guest', 'riscv64', '--host', 'riscv64', '-o'];
  const again = path.join(folder, 'again');
  for (const place of ['tools/hosts.json', 'tools/old']) {
    await mkdir(path.dirname(path.join(again, place)), { recursive: true });
    await writeFile(path.join(again, place), '');
  }
  expect(await uport([...args, again])).toMatchObject({ status: 0 });
  expect((await readdir(path.join(again, 'tools'))).sort()).toEqual([
    'command',
    'emulators',
    'hosts.json',
    'node',
  ]);
  const taken = path.join(folder, 'taken');
  await mkdir(taken);
  for (const name of ['builder.mjs', 'flake.nix']) await writeFile(path.join(taken, name), '{ }');
  expect(errorCode(await uport([...args, taken]))).toBe('UPORT_OUTPUT_IN_THE_WAY');
  expect((await readdir(taken)).sort()).toEqual(['builder.mjs', 'flake.nix']);
});

skipMissingNixes();

describe.each(NIX_RELEASES)('$name', (release) => {
  /** The store of this Nix, and what it makes. */
  let root: string;
  let nix: ReturnType<typeof nixIn>;
  /** In the store. */
  let tools: string;
  beforeAll(async () => {
    root = path.join(folder, `release-${NIX_RELEASES.indexOf(release)}`);
    await mkdir(root);
    if (lacking) return;
    nix = nixIn(root, ['sandbox = true'], release);
    tools = await inStore(nix, flake);
    await writeFile(path.join(packages, 'flake.nix'), packagesFlake(tools));
  });

  test.skipIf(lacking ?? noUsualPlace)(
    named('the flake is checked and shown', lacking ?? noUsualPlace),
    async () => {
      const usual = nixAtItsPlace(root, [], release);
      const checked = await usual('nix', ['flake', 'check', `path:${tools}`]);
      expect(checked, checked.stderr).toMatchObject({ status: 0 });
      const shown = await usual('nix', ['flake', 'show', '--json', `path:${tools}`]);
      expect(JSON.parse(shown.stdout)).toMatchObject({
        nixosModules: { default: { type: 'nixos-module' } },
        packages: { [SYSTEM]: { default: { type: 'derivation', name: 'uport' } } },
        templates: { default: { type: 'template' } },
      });
    },
  );

  /** The file that a bundle is, started. */
  async function startBundle(link: string, program: string, args: readonly string[]) {
    const file = path.join(root, await readlink(link), 'bin', program);
    const env = { HOME: root, UPORT_CACHE_DIR: path.join(root, 'uport-cache') };
    const told = JSON.parse((await uport(['inspect', '--json', file])).stdout);
    expect(told.hosts.map(({ host }: { host: string }) => host).sort()).toEqual([...ARCHES].sort());
    return start(file, args, { env });
  }

  describe.each([
    [true, 'one that compresses less', 'nqueens', 'nqueens'],
    [false, 'one that compresses less', 'odd', '.an odd name!'],
    [true, 'its own bundler', 'universal', 'nqueens'],
  ])('in a sandbox: %s', (sandbox, bundler, attribute, program) => {
    const skipped = lacking ?? (sandbox ? undefined : noUsualPlace);
    test.skipIf(skipped)(named(`offline, ${bundler} takes ${attribute}`, skipped), async () => {
      const used = sandbox ? nix : nixAtItsPlace(root, ['sandbox = false'], release);
      const link = path.join(root, `bundle-${attribute}`);
      const chosen = bundler === 'its own bundler' ? tools : packages;
      const made = await used('nix', [
        ...['bundle', '--bundler', `path:${chosen}`, '-o', link],
        ...[`path:${packages}#${attribute}`, '--no-write-lock-file'],
      ]);
      expect(made, made.stderr).toMatchObject({ status: 0 });
      const ran = await startBundle(link, program, ['6']);
      expect(ran.stdout, ran.stderr).toContain(SOLVED);
    });
  });

  const noClosure = lacking ?? closureMissing('riscv64');
  test.skipIf(noClosure)(named('a dynamic program comes with its closure', noClosure), async () => {
    const place = path.join(root, 'closure');
    await mkdir(place);
    const { source } = await buildClosure(place, 'riscv64');
    await writeFile(
      path.join(source, 'flake.nix'),
      `{ outputs = { self }: { packages.${SYSTEM} = import ./.; }; }`,
    );
    const link = path.join(root, 'bundle-closure');
    const made = await nix('nix', [
      ...['bundle', '--bundler', `path:${packages}`, '-o', link, '--no-write-lock-file'],
      // The closure is of the machine that builds it.
      ...['--impure', `path:${source}#wrapped`],
    ]);
    expect(made, made.stderr).toMatchObject({ status: 0 });
    const ran = await startBundle(link, 'hello-wrapped', ['a', 'b c']);
    const greeting = 'hello from riscv64: words from the store\n';
    expect(ran, ran.stderr).toMatchObject({ status: 3, stdout: expect.stringContaining(greeting) });
  });

  test.skipIf(lacking)(named('the command is a package of it', lacking), async () => {
    const ran = await nix('nix', ['run', `path:${tools}`, '--', 'inspect', '--json', NQUEENS]);
    expect(JSON.parse(ran.stdout), ran.stderr).toMatchObject({ arch: 'riscv64' });
  });

  test.skipIf(lacking)(
    named('an image has the digest that the command gives', lacking),
    async () => {
      const link = path.join(root, 'image');
      const built = await nix('nix', [
        'build',
        '-o',
        link,
        `path:${packages}#image`,
        '--no-write-lock-file',
      ]);
      expect(built, built.stderr).toMatchObject({ status: 0 });
      const outDir = path.join(root, 'dist');
      const args = ['build', NQUEENS, '--emit', 'oci', ...HOSTS, ...LEVEL, '-o', outDir];
      const emulators = `dir:${path.join(flake, 'tools/emulators')}`;
      const ours = await uport([...args, '--emulators', emulators]);
      expect(ours, ours.stderr).toMatchObject({ status: 0 });
      const index = path.join(root, await readlink(link), 'index.json');
      expect(await readFile(index, 'utf8')).toBe(
        await readFile(path.join(outDir, 'oci/index.json'), 'utf8'),
      );
    },
  );

  // Their 200 MB would be hashed at each evaluation.
  test.skipIf(lacking)(named('the tools lie in the store once', lacking), async () => {
    const paths = await readdir(path.join(root, 'nix/store'));
    expect(paths).toContain(path.basename(tools));
    expect(paths.filter((name) => /-uport-(?:command|emulators)$/.test(name))).toEqual([]);
  });

  test.skipIf(lacking)(named('faults are told', lacking), async () => {
    const bundle = async (bundler: string, attribute: string) => {
      const args = ['bundle', '-L', '--bundler', `path:${bundler}`];
      const finished = await nix('nix', [
        ...args,
        `path:${packages}#${attribute}`,
        '--no-write-lock-file',
      ]);
      expect(finished.status).not.toBe(0);
      return finished.stderr;
    };
    const bare = path.join(REPOSITORY, 'nix');
    expect(await bundle(bare, 'nqueens')).toContain('npx uport nix flake');
    expect(await bundle(tools, 'none')).toContain('UPORT_ENTRYPOINT_NOT_FOUND');
    // What is taken as it is must be what was asked for.
    expect(await bundle(`${packages}#wide`, 'universal')).toContain('it has no mips64el-linux');
    expect(await bundle(packages, 'universal')).toContain('--compression-level=1 cannot change it');
  });
});
