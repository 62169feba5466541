import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { nixMissing, runNix } from '../../nix/testing/nix-command.ts';
import { samplePlan } from '../../oci/testing/sample-plan.ts';
import { nixFiles } from './files.ts';
import { checkOptions, DEFAULT_NIX_OPTIONS, type NixOptions } from './options.ts';
import { packageFacts } from './package-facts.ts';

const HASH = { algorithm: 'sha256', bytes: new Uint8Array(32).fill(7) } as const;
const { plan } = await samplePlan({ hosts: ['x86_64', 's390x'] });

// biome-ignore lint/suspicious/noTemplateCurlyInString: as Nix writes expressions
const EXPRESSION = '${hello}';

function filesOf(options: Partial<NixOptions>): ReadonlyMap<string, string> {
  return nixFiles(packageFacts(plan, { ...DEFAULT_NIX_OPTIONS, ...options }), HASH);
}

test('the flake', () => {
  const bins = { hello: 'hello', 'other name': 'link' };
  expect(filesOf({ pname: 'my app', bins }).get('flake.nix')).toMatchInlineSnapshot(`
    "{
      description = "Program for riscv64 that other CPUs run too";
      outputs =
        { self }:
        let
          package = import ./universal.nix;
          forAllSystems =
            f:
            builtins.listToAttrs (
              map (name: {
                inherit name;
                value = f name;
              }) package.meta.platforms
            );
          app = name: {
            type = "app";
            program = "\${package}/bin/\${name}";
            meta = { inherit (package.meta) description; };
          };
        in
        {
          packages = forAllSystems (_: {
            default = package;
            my-app = package;
          });
          apps = forAllSystems (_: {
            default = app "hello";
            hello = app "hello";
            "other name" = app "other name";
          });
          checks = forAllSystems (_: {
            my-app = package;
          });
          overlays.default = final: prev: { my-app = final.callPackage ./package.nix { }; };
        };
    }
    "
  `);
});

test('the package for everyone, and the one for nixpkgs', () => {
  const files = filesOf({ version: '1.2', licenses: ['unfree'], description: `"${EXPRESSION}"` });
  expect(files.get('universal.nix')).toMatchInlineSnapshot(`
    "# One program for every host. Nix unpacks it by itself, with nothing from nixpkgs, so its store
    # path is the same on all of them.

    import <nix/fetchurl.nix> {
      name = "hello-1.2";
      url = "file://\${./universal.nar}";
      unpack = true;
      hash = "sha256-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    }
    // {
      pname = "hello";
      version = "1.2";
      meta = {
        description = "\\"\\\${hello}\\"";
        license = {
          shortName = "unfree";
          fullName = "Unfree";
          free = false;
        };
        sourceProvenance = [
          {
            shortName = "binaryNativeCode";
            isSource = false;
          }
        ];
        mainProgram = "hello";
        platforms = [
          "x86_64-linux"
          "s390x-linux"
        ];
      };
    }
    "
  `);
  expect(files.get('package.nix')).toMatchInlineSnapshot(`
    "{ lib, stdenvNoCC }:
    stdenvNoCC.mkDerivation {
      pname = "hello";
      version = "1.2";

      src = import ./universal.nix;

      strictDeps = true;
      dontUnpack = true;
      dontConfigure = true;
      dontBuild = true;
      # The fixups would change the file.
      dontFixup = true;

      installPhase = ''
        runHook preInstall
        mkdir -p "$out"
        cp -r "$src"/. "$out"
        runHook postInstall
      '';

      meta = {
        description = "\\"\\\${hello}\\"";
        license = lib.licenses.unfree;
        sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
        mainProgram = "hello";
        platforms = [
          "x86_64-linux"
          "s390x-linux"
        ];
      };
    }
    "
  `);
  expect(files.get('default.nix')).toBe('import ./universal.nix\n');
});

test('a URL and several licences', () => {
  const url = `https://example.org/a%20b.nar?x=${EXPRESSION}`;
  const files = filesOf({ url, licenses: ['MIT', 'GPL-2.0-only'] });
  expect(files.get('universal.nix')).toContain(
    `url = "https://example.org/a%20b.nar?x=\\${EXPRESSION}";`,
  );
  expect(files.get('package.nix')).toContain('(lib.getLicenseFromSpdxId "GPL-2.0-only")');
});

test('a host that Nix has no name for is refused', async () => {
  const { plan } = await samplePlan({ hosts: ['x86_64', 'hppa'] });
  expect(() => packageFacts(plan, DEFAULT_NIX_OPTIONS)).toThrow(
    expect.objectContaining({ code: 'UPORT_NIX_NO_SYSTEM' }),
  );
});

test.each([
  [{ licenses: ['MIT OR X'] }, 'UPORT_NIX_LICENSE_INVALID'],
  [{ licenses: [''] }, 'UPORT_NIX_LICENSE_INVALID'],
  [{ url: 'app.nar' }, 'UPORT_NIX_URL_INVALID'],
  [{ url: 'https://example.org/a b' }, 'UPORT_NIX_URL_INVALID'],
  [{ url: 'javascript:1' }, 'UPORT_NIX_URL_INVALID'],
])('%j is refused', (options, code) => {
  expect(() => checkOptions({ ...DEFAULT_NIX_OPTIONS, ...options })).toThrow(
    expect.objectContaining({ code }),
  );
});

test('what Nix cannot hold is refused', () => {
  expect(() => filesOf({ description: 'a\0b' })).toThrow(
    expect.objectContaining({ code: 'UPORT_NIX_STRING_INVALID' }),
  );
});

const text = fc
  .string({ unit: 'binary', maxLength: 30 })
  .filter((each) => each.isWellFormed() && !each.includes('\0'));
const awkward = fc.oneof(
  text,
  fc.constantFrom(
    EXPRESSION,
    '"',
    "''",
    '\\',
    '$',
    'a.b',
    'default',
    'or',
    'a\r\n\tb',
    '__proto__',
  ),
);

test.skipIf(nixMissing)(
  `Nix reads any name, version, description and program (${nixMissing ?? 'nix-instantiate'})`,
  { timeout: 60_000 },
  () => {
    const root = mkdtempSync(path.join(tmpdir(), 'uport-nix-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    const samples = fc.sample(
      fc.record({
        pname: awkward,
        version: awkward,
        description: awkward,
        program: awkward.filter((each) => each !== ''),
      }),
      { numRuns: 200, seed: 4 },
    );
    const facts = samples.map(({ program, ...options }, i) => {
      const bins = JSON.parse(`{${JSON.stringify(program)}:"hello"}`);
      const all = { ...DEFAULT_NIX_OPTIONS, ...options, bins };
      for (const [name, content] of nixFiles(packageFacts(plan, all), HASH)) {
        writeFileSync(
          path.join(root, `${i}-${name}`),
          content.replace('./universal', `./${i}-universal`),
        );
      }
      return packageFacts(plan, all);
    });
    const expression = `map (i:
      let
        u = import (./. + "/\${toString i}-universal.nix");
        f = import (./. + "/\${toString i}-flake.nix");
        o = f.outputs { self = null; };
      in {
        inherit (u) pname version name; inherit (u.meta) description mainProgram platforms;
        flake = f.description;
        packages = builtins.attrNames o.packages.s390x-linux;
        apps = builtins.attrNames o.apps.s390x-linux;
        overlay = builtins.attrNames (o.overlays.default null null);
      }) (builtins.genList (i: i) ${samples.length})`;
    const args = ['--eval', '--strict', '--json', '-I', `root=${root}`, '-E'];
    const source = expression.replaceAll('./.', '<root>');
    const read = JSON.parse(runNix(root, 'nix-instantiate', [...args, source]).toString());
    expect(read).toEqual(
      facts.map(({ pname, version, name, description, programs, systems }) => ({
        pname,
        version,
        name,
        description,
        mainProgram: programs[0],
        platforms: systems,
        flake: description,
        packages: [...new Set(['default', pname])].sort(),
        apps: [...new Set(['default', programs[0]])].sort(byBytes),
        overlay: [pname],
      })),
    );
  },
);

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
