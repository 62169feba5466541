import { cp, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import {
  NIX_RELEASES,
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
import { errorCode, uport } from './support/uport.ts';

const SYSTEMS = ['aarch64', 'powerpc64le', 'riscv64', 's390x', 'x86_64'].map(
  (cpu) => `${cpu}-linux`,
);
const SOLVED = '4 solutions for 6 queens\n';
const LEVEL = ['--compression-level', '1'];

let folder: string;
/** What `uport build --emit nix` wrote. */
let made: string;
let flake: string;
/** The universal file of the same build. */
let universal: string;

async function emit(outDir: string, ...flags: readonly string[]) {
  const args = ['build', NQUEENS, '--emit', 'nix', '-o', outDir, ...LEVEL];
  return uport([...args, ...offlineFlags(), ...flags]);
}

beforeAll(async () => {
  folder = await temporaryFolder();
  const outDir = path.join(folder, 'dist');
  const finished = await emit(outDir, '--emit', 'universal');
  expect(finished).toMatchObject({ status: 0 });
  expect(finished.stdout).toContain(`nix run path:${outDir}/nix\n`);
  universal = path.join(outDir, 'nqueens');
  made = path.join(outDir, 'nix');
  flake = `path:${made}`;
});
afterAll(() => removeFolder(folder));

/** As the package's README says. */
async function storePath(): Promise<string> {
  const text = await readFile(path.join(made, 'README.md'), 'utf8');
  return /\/nix\/store\/[^`]+/.exec(text)?.[0] ?? '';
}

skipMissingNixes();

describe('refused before anything is built', () => {
  test('a key that is none is refused, and so is an address', async () => {
    const outDir = path.join(folder, 'refused-cache');
    const key = path.join(folder, 'no-key');
    await writeFile(key, 'secret');
    const finished = await emit(outDir, '--cache', outDir, '--cache-key', key);
    expect(errorCode(finished)).toBe('UPORT_NIX_KEY_INVALID');
    expect(errorCode(await emit(outDir, '--cache', 'ssh://host'))).toBe('UPORT_NIX_CACHE_URL');
  });

  test("somebody else's folder stands in the way", async () => {
    const outDir = path.join(folder, 'taken');
    await mkdir(path.join(outDir, 'nix'), { recursive: true });
    await writeFile(path.join(outDir, 'nix/flake.nix'), '{ }');
    const finished = await emit(outDir);
    expect(errorCode(finished)).toBe('UPORT_OUTPUT_IN_THE_WAY');
    expect(await readFile(path.join(outDir, 'nix/flake.nix'), 'utf8')).toBe('{ }');
  });

  test('what Nix has no word for', async () => {
    const outDir = path.join(folder, 'refused');
    expect(errorCode(await emit(outDir, '--license', 'a b'))).toBe('UPORT_NIX_LICENSE_INVALID');
    expect(errorCode(await emit(outDir, '--url', 'here'))).toBe('UPORT_NIX_URL_INVALID');
  });
});

describe.each(NIX_RELEASES)('$name', (release) => {
  /** What this Nix makes. */
  let work: string;
  beforeAll(async () => {
    work = path.join(folder, `release-${NIX_RELEASES.indexOf(release)}`);
    await mkdir(work);
  });

  let stores = 0;

  /** Nix with an empty store. */
  async function freshNix(...settings: readonly string[]) {
    return nixIn(await emptyStore(), settings, release);
  }

  async function emptyStore(): Promise<string> {
    const root = path.join(work, `store-${stores++}`);
    await mkdir(root);
    return root;
  }

  /** A copy of the package to change. */
  async function copyOf(name: string): Promise<string> {
    const copy = path.join(work, name);
    await cp(made, copy, { recursive: true });
    return copy;
  }

  describe.each([true, false])('in a sandbox: %s', (sandbox) => {
    const lacking = sandbox ? nixMissing : noUsualPlace;
    test.skipIf(lacking)(
      named('the flake builds, builds again the same, runs and is checked', lacking),
      async () => {
        const settings = [`sandbox = ${sandbox}`];
        const nix = sandbox
          ? await freshNix(...settings)
          : nixAtItsPlace(await emptyStore(), settings, release);
        // Its builder is this machine's, of which a sandbox has nothing.
        const open = `derivation {
          name = "open";
          system = builtins.currentSystem;
          builder = "/usr/bin/env";
          args = [ "sh" "-c" "echo > $out" ];
          PATH = "/usr/bin:/bin";
        }`;
        const seen = await nix('nix-build', ['--no-out-link', '-E', open]);
        expect(seen.status === 0, seen.stderr).toBe(!sandbox);
        const done = async (...args: readonly string[]) => {
          const finished = await nix('nix', args, { cwd: work });
          expect(finished, finished.stderr).toMatchObject({ status: 0 });
          return finished.stdout;
        };
        await done('build', '--no-link', flake);
        await done('build', '--rebuild', '--no-link', flake);
        expect(await done('run', flake, '--', '6')).toContain(SOLVED);
        expect(await done('shell', flake, '-c', 'nqueens', '6')).toContain(SOLVED);
        await done('flake', 'check', flake);
        const shown = JSON.parse(await done('flake', 'show', '--json', flake));
        expect(Object.keys(shown.packages)).toEqual(SYSTEMS);
        expect(shown.overlays).toEqual({ default: { type: 'nixpkgs-overlay' } });
      },
    );
  });

  test.skipIf(nixMissing)(named('it builds and installs without flakes', nixMissing), async () => {
    const root = path.join(work, 'store');
    await mkdir(root);
    const nix = nixIn(root, [], release);
    const place = await storePath();
    expect(await nix('nix-build', ['--no-out-link', made])).toMatchObject({ stdout: `${place}\n` });
    const program = await readFile(path.join(root, place, 'bin/nqueens'));
    expect(program.equals(await readFile(universal))).toBe(true);
    const profile = path.join(work, 'profile');
    expect(await nix('nix-env', ['-p', profile, '-i', '-f', made])).toMatchObject({ status: 0 });
    // The links name the store as if it lay in its usual place.
    const generation = await readlink(`${profile}-1-link`);
    expect(await readlink(path.join(root, generation, 'bin'))).toBe(`${place}/bin`);
    const listed = await nix('nix-env', ['-qa', '-f', made, '--json', '--meta', '--out-path']);
    const meta = { mainProgram: 'nqueens', platforms: expect.arrayContaining(SYSTEMS) };
    expect(Object.values(JSON.parse(listed.stdout))).toMatchObject([{ pname: 'nqueens', meta }]);
  });

  test.skipIf(nixMissing)(
    named('one store path and .drv for every system', nixMissing),
    async () => {
      const nix = await freshNix();
      const apply = 'builtins.mapAttrs (_: each: [ each.default.outPath each.default.drvPath ])';
      const read = await nix('nix', ['eval', '--json', `${flake}#packages`, '--apply', apply]);
      const paths = Object.values<[string, string]>(JSON.parse(read.stdout));
      expect(paths.map(([out]) => out)).toEqual(await Promise.all(SYSTEMS.map(storePath)));
      expect(new Set(paths.map(([, drv]) => drv)).size).toBe(1);
    },
  );

  test.skipIf(nixMissing)(named('any name, version and description', nixMissing), async () => {
    const nix = await freshNix();
    const outDir = path.join(work, 'odd');
    const name = ' "my" $' + "{app} ''é\\";
    const flags = ['--name', name, '--version-string', '1.0 β', '--description', name];
    expect(await emit(outDir, ...flags, '--license', 'unfree')).toMatchObject({ status: 0 });
    const odd = `path:${path.join(outDir, 'nix')}`;
    expect(await nix('nix', ['run', odd, '--', '6'])).toMatchObject({
      stdout: expect.stringContaining(SOLVED),
    });
    const read = await nix('nix', ['eval', '--json', `${odd}#default.meta`]);
    expect(JSON.parse(read.stdout)).toMatchObject({
      description: name,
      mainProgram: name,
      license: { free: false },
    });
  });

  test.skipIf(nixMissing)(
    named('a folder with programs of several names', nixMissing),
    async () => {
      const nix = await freshNix();
      const app = path.join(work, 'vendor');
      await mkdir(path.join(app, 'bin'), { recursive: true });
      await cp(NQUEENS, path.join(app, 'bin/nqueens'));
      await cp(NQUEENS, path.join(app, 'bin/other'));
      const outDir = path.join(work, 'vendor-dist');
      const bins = ['--bin', 'first=bin/nqueens', '--bin', 'second=bin/other'];
      const args = ['build', app, '--entrypoint', 'bin/nqueens', '--emit', 'nix', '-o', outDir];
      const built = await uport([...args, ...bins, ...LEVEL, ...offlineFlags()]);
      expect(built, built.stderr).toMatchObject({ status: 0 });
      for (const name of ['default', 'first', 'second']) {
        const ran = await nix('nix', ['run', `path:${outDir}/nix#${name}`, '--', '6']);
        expect(ran.stdout, ran.stderr).toContain(SOLVED);
      }
    },
  );

  test.skipIf(nixMissing)(named('a NAR that is fetched', nixMissing), async () => {
    const outDir = path.join(work, 'fetched');
    let asked = 0;
    const server = createServer(async (_, response) => {
      asked++;
      response.end(await readFile(path.join(outDir, 'universal.nar')));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.nar`;
      expect(await emit(outDir, '--url', url)).toMatchObject({ status: 0 });
      const nix = await freshNix();
      const ran = await nix('nix', ['run', `path:${outDir}/nix`, '--', '6']);
      expect(ran.stdout, ran.stderr).toContain(SOLVED);
      expect(asked).toBe(1);
      const place = await nix('nix', ['eval', '--raw', `path:${outDir}/nix#default.outPath`]);
      expect(place.stdout).toBe(await storePath());
    } finally {
      server.close();
    }
  });

  describe('a binary cache', () => {
    /** Copies out of the cache into an empty store, with signatures checked. */
    async function copied(cache: string, place: string, trusted: string) {
      const nix = await freshNix('require-sigs = true', `trusted-public-keys = ${trusted}`);
      return nix('nix', ['copy', '--from', `file://${cache}`, place]);
    }

    test.skipIf(nixMissing)(named('is filled, signed, and taken by Nix', nixMissing), async () => {
      const [secret, open, otherSecret, other] = ['a', 'a.pub', 'b', 'b.pub'].map((name) =>
        path.join(work, name),
      ) as [string, string, string, string];
      const nix = await freshNix();
      await nix('nix-store', ['--generate-binary-cache-key', 'a-1', secret, open]);
      await nix('nix-store', ['--generate-binary-cache-key', 'b-1', otherSecret, other]);
      const cache = path.join(work, 'cache');
      const flags = ['--cache', `file://${cache}`, '--cache-key', secret];
      expect(await emit(path.join(work, 'for-cache'), ...flags)).toMatchObject({ status: 0 });

      const place = await storePath();
      const key = await readFile(open, 'utf8');
      const first = await copied(cache, place, await readFile(other, 'utf8'));
      expect(first, first.stderr).toMatchObject({ status: 0 });

      // Without the note that the path follows from the hash, all rests on the signature.
      const file = path.join(cache, `${path.basename(place).slice(0, 32)}.narinfo`);
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace(/^CA: .*\n/m, ''));
      const signed = await copied(cache, place, key);
      expect(signed, signed.stderr).toMatchObject({ status: 0 });
      const untrusted = await copied(cache, place, await readFile(other, 'utf8'));
      expect(untrusted.status).not.toBe(0);
      expect(untrusted.stderr).toContain('signature');
    });
  });

  describe('faults', () => {
    test.skipIf(nixMissing)(named('a NAR of other bytes', nixMissing), async () => {
      const damaged = await copyOf('damaged');
      const file = path.join(damaged, 'universal.nar');
      const bytes = await readFile(file);
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      await writeFile(file, bytes);
      const nix = await freshNix();
      const finished = await nix('nix', ['build', '--no-link', `path:${damaged}`]);
      expect(finished.status).not.toBe(0);
      expect(finished.stderr).toContain('hash mismatch in fixed-output derivation');
    });

    test.skipIf(nixMissing)(named('a NAR that is not there', nixMissing), async () => {
      const lacking = await copyOf('lacking');
      await rm(path.join(lacking, 'universal.nar'));
      const nix = await freshNix();
      const finished = await nix('nix', ['build', '--no-link', `path:${lacking}`]);
      expect(finished.status).not.toBe(0);
      expect(finished.stderr).toMatch(
        /universal\.nar'(: No such file or directory| does not exist)/,
      );
    });

    test.skipIf(nixMissing)(named('a system that it was not made for', nixMissing), async () => {
      const nix = await freshNix();
      const finished = await nix('nix', ['build', '--no-link', '--system', 'sparc-linux', flake]);
      expect(finished.status).not.toBe(0);
      expect(finished.stderr).toContain(
        "does not provide attribute 'packages.sparc-linux.default'",
      );
    });
  });

  describe('with nixpkgs', () => {
    const lacking = nixMissing ?? missingTools('busybox');

    test.skipIf(lacking)(
      named('the overlay builds it, and an unfree licence needs a permission', lacking),
      async () => {
        const outDir = path.join(work, 'unfree');
        expect(await emit(outDir, '--license', 'unfree')).toMatchObject({ status: 0 });
        const nixpkgs = await stubNixpkgs(work);
        const consumer = await writeConsumer(
          work,
          `{
          inputs.nixpkgs.url = "path:/none";
          inputs.app.url = "path:/none";
          outputs = { self, nixpkgs, app }:
            let
              build = config: (import nixpkgs {
                system = "x86_64-linux";
                inherit config;
                overlays = [ app.overlays.default ];
              }).nqueens;
            in
            {
              packages.x86_64-linux.refused = build { };
              packages.x86_64-linux.allowed = build { allowUnfree = true; };
            };
        }`,
        );
        const nix = await freshNix();
        const inputs = overriding(['nixpkgs', nixpkgs], ['app', path.join(outDir, 'nix')]);
        const build = (name: string, ...command: readonly string[]) =>
          nix('nix', [
            ...command,
            `path:${consumer}#${name}`,
            ...inputs,
            ...(command[0] === 'run' ? ['--', '6'] : ['--no-link']),
          ]);
        const refused = await build('refused', 'build');
        expect(refused.status).not.toBe(0);
        expect(refused.stderr).toContain('has an unfree license (‘unfree’), refusing to evaluate');
        const ran = await build('allowed', 'run');
        expect(ran.stdout, ran.stderr).toContain(SOLVED);
      },
    );
  });
});
