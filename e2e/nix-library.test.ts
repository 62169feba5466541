import { execFileSync } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  BINFMT_SUBJECTS,
  binfmtInterpreterName,
  binfmtName,
  binfmtRegistration,
  diskNarNode,
  nix as expr,
  formatNixHash,
  hashStream,
  parseArch,
  printNix,
  writeNar,
} from '@uport/core';
import { REPOSITORY } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  NIX_RELEASES,
  type NixRelease,
  nixAtItsPlace,
  nixIn,
  nixMissing,
  noUsualPlace,
  overriding,
  skipMissingNixes,
  stubNixpkgs,
  writeConsumer,
} from './support/nix.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const LIBRARY = path.join(REPOSITORY, 'nix');
const SOLVED = '4 solutions for 6 queens\n';
/** Where the builder's sandbox has Node, and TypeScript's compiler. */
const NODE = '/opt/uport-node';
const TYPESCRIPT = '/opt/uport-typescript';
const COMPILER = path.join(REPOSITORY, 'node_modules/@typescript/typescript-linux-x64/lib');
const HOSTS = ['x86_64-linux', 's390x-linux'];
/** What Node needs. Newer Nixes make a link in the sandbox of what is one outside. */
const LIBRARIES = ['/lib64=/usr/lib64', '/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu'];
const { version } = JSON.parse(
  readFileSync(path.join(REPOSITORY, 'packages/cli/package.json'), 'utf8'),
);

let folder: string;
/** The store of the Nix at hand. */
let root: string;
let nixpkgs: string;
/** The repository's own files, without what was built or installed. */
let source: string;
/** The packages of npm that the command needs. */
let dependencies: string;
/** What the template's flake asks to have beside it. */
let project: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  if (lacking !== undefined) return;
  nixpkgs = await stubNixpkgs(folder);
  project = path.join(folder, 'project');
  await mkdir(project);
  await copyFile(NQUEENS, path.join(project, 'app'));
  await copyEmulators('riscv64', path.join(project, 'emulators'));
  await installCli(path.join(project, 'cli'));
  source = path.join(folder, 'source');
  await copySource(source);
  dependencies = path.join(folder, `uport-dependencies-${version}`);
  await copyDependencies(dependencies);
});
afterAll(() => removeFolder(folder));

const otherCpu = process.arch === 'x64' ? undefined : 'the sandbox here is laid out for x86-64';
const lacking = nixMissing ?? missingTools('busybox') ?? otherCpu;

/** Nix whose sandbox holds the Node that runs the tests, and nothing else of the machine. */
function nixWithNode(release: NixRelease) {
  const paths = [`${NODE}/bin/node=${process.execPath}`, ...LIBRARIES].join(' ');
  return nixIn(root, ['sandbox = true', `extra-sandbox-paths = ${paths}`], release);
}

/** As `npm install uport` leaves it. */
async function installCli(place: string): Promise<void> {
  const listing = ['ls', '--omit=dev', '--all', '--parseable', '--workspace=uport'];
  const paths = execFileSync('npm', listing, { cwd: REPOSITORY, encoding: 'utf8' });
  const modules = path.join(REPOSITORY, 'node_modules/');
  for (const each of [...new Set(paths.trim().split('\n')), `${modules}uport`].sort()) {
    if (!each.startsWith(modules)) continue;
    const target = path.join(place, 'node_modules', each.slice(modules.length));
    const filter = (file: string) => !/\/packages\/[^/]+\/(src|node_modules)(\/|$)/.test(file);
    await cp(each, target, { recursive: true, dereference: true, filter });
  }
}

async function copySource(place: string): Promise<void> {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listed = execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' });
  for (const file of listed.split('\0').filter((name) => existsSync(path.join(REPOSITORY, name)))) {
    if (file === '') continue;
    await mkdir(path.dirname(path.join(place, file)), { recursive: true });
    await copyFile(path.join(REPOSITORY, file), path.join(place, file));
  }
}

/** What `npm ci --omit=dev --omit=optional --workspace=uport` installs, without the workspaces. */
async function copyDependencies(place: string): Promise<void> {
  const text = await readFile(path.join(REPOSITORY, 'package-lock.json'), 'utf8');
  const { packages }: { packages: Record<string, Record<string, boolean>> } = JSON.parse(text);
  const modules = 'node_modules/';
  for (const [name, facts] of Object.entries(packages).sort()) {
    const { link, dev, optional, devOptional, peer } = facts;
    if (!name.startsWith(modules) || link || dev || optional || devOptional || peer) continue;
    const from = path.join(REPOSITORY, name);
    const filter = (file: string) => !file.slice(from.length).includes('/node_modules');
    await cp(from, path.join(place, name.slice(modules.length)), { recursive: true, filter });
  }
}

/** The tests' emulators of one guest. */
async function copyEmulators(guest: string, place: string): Promise<void> {
  const source = inject('emulators').slice('dir:'.length);
  const hosts = HOSTS.map((host) => parseArch(host).name);
  for (const each of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (path.basename(each) !== `qemu-${guest}` || !hosts.includes(path.dirname(each))) continue;
    await mkdir(path.dirname(path.join(place, each)), { recursive: true });
    await copyFile(path.join(source, each), path.join(place, each));
  }
}

test('the binfmt rules of the module are those of the command', async () => {
  const bytes = (values: Iterable<number>) =>
    [...values].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  const body = expr.set(
    ...BINFMT_SUBJECTS.map((subject) => {
      const { magic, mask } = binfmtRegistration(subject, '/interpreter');
      return expr.bind(
        binfmtName(subject).slice('uport-'.length),
        expr.value({
          magicOrExtension: bytes(magic),
          mask: bytes(mask ?? magic.map(() => 0xff)),
          interpreter: binfmtInterpreterName(subject),
        }),
      );
    }),
  );
  const comment = ['Made by e2e/nix-library.test.ts from the CPU table: vitest -u writes it anew.'];
  await expect(printNix({ comment, body })).toMatchFileSnapshot('../nix/binfmt.nix');
});

skipMissingNixes();

describe.each(NIX_RELEASES)('$name', (release) => {
  /** What this Nix makes. */
  let work: string;
  beforeAll(async () => {
    work = path.join(folder, `release-${NIX_RELEASES.indexOf(release)}`);
    root = path.join(work, 'store');
    await mkdir(root, { recursive: true });
  });

  test.skipIf(lacking)(
    named('a program is built for every CPU inside the sandbox, and its image', lacking),
    async () => {
      const consumer = await writeConsumer(
        work,
        `{
        inputs.nixpkgs.url = "path:${nixpkgs}";
        inputs.uport.url = "path:${LIBRARY}";
        inputs.project = { url = "path:${project}"; flake = false; };
        outputs = { self, nixpkgs, uport, project }:
          let
            pkgs = import nixpkgs {
              system = "x86_64-linux";
              overlays = [ uport.overlays.default ];
            };
            tools = {
              uport = pkgs.uportTools.mkCli { src = project + "/cli"; };
              emulators = project + "/emulators";
              hosts = [ ${HOSTS.map((host) => `"${host}"`).join(' ')} ];
              extraFlags = [ "--compression-level=1" ];
            };
            app = pkgs.stdenvNoCC.mkDerivation {
              pname = "nqueens";
              version = "1";
              installPhase = "mkdir -p $out/bin; cp \${project}/app $out/bin/nqueens";
            };
          in
          {
            packages.x86_64-linux.default = pkgs.uportTools.mkUniversal (tools // { package = app; });
            packages.x86_64-linux.image = uport.lib.mkImage (tools // { inherit pkgs; package = app; });
            packages.x86_64-linux.app = app;
            packages.x86_64-linux.sliced = pkgs.uportTools.mkUniversal (tools // {
              package = app;
              name = "sliced";
              slices.x86_64-linux = "\${nixpkgs}/bin/busybox";
            });
            bundlers.x86_64-linux.default = pkgs.uportTools.mkBundler tools;
          };
      }`,
      );
      const nix = nixWithNode(release);
      const inputs = ['--no-write-lock-file'];
      const done = async (...args: readonly string[]) => {
        const finished = await nix('nix', args, { cwd: work });
        expect(finished.status, finished.stderr).toBe(0);
        return finished.stdout;
      };
      const ran = await done('run', `path:${consumer}`, ...inputs, '--', '6');
      expect(ran).toContain(SOLVED);

      // The slice is a busybox, which has no program of this name.
      const sliced = await nix('nix', ['run', `path:${consumer}#sliced`, ...inputs]);
      expect(sliced.stderr).toContain('sliced: applet not found');

      await done('build', '-o', path.join(work, 'image'), `path:${consumer}#image`, ...inputs);
      const place = await done('eval', '--raw', `path:${consumer}#image.outPath`, ...inputs);
      const ours = path.join(work, 'dist');
      const emulators = `dir:${path.join(project, 'emulators')}`;
      const flags = ['--emulators', emulators, '--compression-level', '1', '-o', ours];
      const hosts = HOSTS.flatMap((host) => ['--host', host]);
      const built = await uport(['build', NQUEENS, '--emit', 'oci', ...hosts, ...flags]);
      expect(built.status, built.stderr).toBe(0);
      expect(await readFile(path.join(root, place, 'index.json'), 'utf8')).toBe(
        await readFile(path.join(ours, 'oci/index.json'), 'utf8'),
      );

      const bundler = ['--bundler', `path:${consumer}`, ...inputs];
      const link = path.join(work, 'bundle');
      await done('bundle', ...bundler, '-o', link, `path:${consumer}#app`);
      const bundle = path.join(root, await readlink(link), 'bin/nqueens');
      expect(
        await start(bundle, ['6'], {
          env: { HOME: work, UPORT_CACHE_DIR: path.join(work, 'uport-cache') },
        }),
      ).toMatchObject({
        stdout: expect.stringContaining(SOLVED),
      });
    },
  );

  test.skipIf(lacking)(named('the command, from source', lacking), async () => {
    const tools = [`${NODE}/bin/node=${process.execPath}`, `${TYPESCRIPT}/bin=${COMPILER}`];
    const paths = [...tools, ...LIBRARIES].join(' ');
    const settings = ['sandbox = true', `extra-sandbox-paths = ${paths}`];
    const nix = nixIn(root, settings, release);
    // As npm would fetch them: the sandbox has no network, and Nix does not build what it has.
    const added = await nix('nix-store', ['--add-fixed', '--recursive', 'sha256', dependencies]);
    expect(added, added.stderr).toMatchObject({ status: 0 });
    const hashed = await nix('nix', ['hash', 'path', dependencies]);
    const text = await readFile(path.join(LIBRARY, 'package.nix'), 'utf8');
    // After a change of the lock file: write this hash into nix/package.nix.
    expect(/outputHash = "(.*)"/.exec(text)?.[1]).toBe(hashed.stdout.trim());
    const consumer = path.join(work, 'from-source');
    await mkdir(consumer);
    await writeFile(
      path.join(consumer, 'flake.nix'),
      `{
        inputs.nixpkgs.url = "path:${nixpkgs}";
        inputs.uport = { url = "path:${source}"; flake = false; };
        outputs = { self, nixpkgs, uport }:
          let
            system = "x86_64-linux";
            overlay = import "\${uport}/nix/overlay.nix";
            pkgs = import nixpkgs { inherit system; overlays = [ overlay ]; };
          in
          { packages.\${system}.default = pkgs.uport; };
      }`,
    );
    const flake = [`path:${consumer}`, '--no-write-lock-file'];
    const built = await nix('nix', ['build', '-L', '-o', path.join(work, 'command'), ...flake]);
    expect(built, built.stderr).toMatchObject({ status: 0 });
    const command = path.join(root, await readlink(path.join(work, 'command')));
    const program = path.join(command, 'lib/uport/packages/cli/bin/uport.js');
    const told = await start(process.execPath, [program, 'inspect', '--json', NQUEENS]);
    expect(JSON.parse(told.stdout), told.stderr).toMatchObject({ arch: 'riscv64' });
    expect(await readFile(path.join(command, 'bin/fatelf-glue'), 'utf8')).toBe(
      `#!${NODE}/bin/node\nimport('${command.slice(root.length)}/lib/uport/packages/cli/bin/fatelf-glue.js');\n`,
    );
  });

  test.skipIf(nixMissing)(named('a package from a NAR', nixMissing), async () => {
    const nix = nixIn(root, [], release);
    const app = path.join(work, 'app');
    await mkdir(path.join(app, 'bin'), { recursive: true });
    await writeFile(path.join(app, 'bin/app'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const { hash } = await hashStream(writeNar(await diskNarNode(app)));
    const consumer = path.join(work, 'from-nar');
    await mkdir(consumer);
    await pipeline(
      writeNar(await diskNarNode(app)),
      createWriteStream(path.join(consumer, 'a.nar')),
    );
    await writeFile(
      path.join(consumer, 'flake.nix'),
      `{
      inputs.uport.url = "path:/none";
      outputs = { self, uport }: {
        packages.x86_64-linux.default = uport.lib.fromNar {
          pname = "app";
          version = "1.0";
          nar = ./a.nar;
          hash = "${formatNixHash(hash, 'sri')}";
        };
      };
    }`,
    );
    const system = ['--system', 'x86_64-linux'];
    const inputs = overriding(['uport', LIBRARY]);
    const ran = await nix('nix', [
      'run',
      ...system,
      `path:${consumer}`,
      ...inputs,
      '--',
      'a',
      'b c',
    ]);
    expect(ran, ran.stderr).toMatchObject({ status: 0, stdout: 'a b c\n' });
  });

  test.skipIf(lacking)(
    named('without the source beside it, it is asked for', lacking),
    async () => {
      const nix = nixIn(root, [], release);
      const alone = path.join(work, 'alone');
      await cp(LIBRARY, alone, { recursive: true });
      const expression = `(import ${alone}/package.nix {
      lib = import ${nixpkgs}/lib.nix;
      stdenvNoCC.mkDerivation = args: args;
      nodejs = null;
      typescript = null;
      cacert = null;
    }).version`;
      const read = await nix('nix-instantiate', ['--eval', '-E', expression]);
      expect(read.status).not.toBe(0);
      expect(read.stderr).toContain('npx uport nix flake -o uport-nix');
    },
  );

  test.skipIf(lacking)(named('the NixOS module', lacking), async () => {
    const nix = nixIn(root, [], release);
    const expression = `
    let
      lib = import ${nixpkgs}/lib.nix;
      module = import ${LIBRARY}/module.nix;
      configure = binfmt: (module { inherit lib; config.programs.uport = { inherit binfmt; }; }).config;
      settings = { subjects = [ "riscv64" "fatelf" ]; interpreters = "/run/emulators"; };
    in
    [ (configure (settings // { enable = true; })) (configure (settings // { enable = false; })) ]`;
    const args = ['--eval', '--strict', '--json', '-E', expression];
    const read = await nix('nix-instantiate', args);
    expect(read.status, read.stderr).toBe(0);
    const common = { fixBinary: true, preserveArgvZero: true, wrapInterpreterInShell: false };
    expect(JSON.parse(read.stdout)).toEqual([
      {
        boot: {
          binfmt: {
            registrations: {
              'uport-riscv64': {
                ...common,
                interpreter: '/run/emulators/qemu-riscv64',
                magicOrExtension: expect.stringMatching(/^\\x7f\\x45\\x4c\\x46.*\\xf3\\x00$/),
                mask: expect.stringMatching(/^\\xff/),
              },
              'uport-fatelf': {
                ...common,
                interpreter: '/run/emulators/launch',
                magicOrExtension: '\\xfa\\x70\\x0e\\x1f\\x01\\x00',
                mask: '\\xff\\xff\\xff\\xff\\xff\\xff',
              },
            },
          },
        },
      },
      {},
    ]);
  });

  const lackingStore = lacking ?? noUsualPlace;

  test.skipIf(lackingStore)(named('the template', lackingStore), async () => {
    const flake = path.join(project, 'flake.nix');
    await rm(flake, { force: true });
    // Nix 2.8 finds templates only in a store that lies at its usual place.
    const made = await nixAtItsPlace(root, [], release)(
      'nix',
      ['flake', 'init', '-t', `path:${LIBRARY}`],
      { cwd: project },
    );
    expect(made, made.stderr).toMatchObject({ status: 0 });
    const hosts = HOSTS.map((host) => `"${host}"`).join(' ');
    const chosen = `hosts = [ ${hosts} ]; extraFlags = [ "--compression-level=1" ];`;
    const text = await readFile(flake, 'utf8');
    await writeFile(flake, text.replace('emulators = ./emulators;', `$& ${chosen}`));
    const inputs = overriding(['nixpkgs', nixpkgs], ['uport', LIBRARY]);
    const ran = await nixWithNode(release)('nix', ['run', `path:${project}`, ...inputs, '--', '6']);
    expect(ran.stdout, ran.stderr).toContain(SOLVED);
  });
});
