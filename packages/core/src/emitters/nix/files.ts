// The Nix files of a package: each an expression, printed by core/nix.
import { formatNixHash, type NixHash } from '../../nix/hash.ts';
import { printNix } from '../../nix/print.ts';
import { type NixBinding, type NixData, type NixExpr, nix } from '../../nix/syntax.ts';
import type { PackageFacts } from './package-facts.ts';
import { readme } from './readme.ts';

/** The NAR's file name. A path in Nix source holds few characters, so it is the same for every app. */
export const NAR_NAME = 'universal.nar';

const PACKAGE = nix.name('package');

/**
 * The files of the folder by name, without the NAR.
 *
 * @param hash the NAR's
 * @throws UportError UPORT_NIX_STRING_INVALID for texts that Nix cannot hold
 */
export function nixFiles(facts: PackageFacts, hash: NixHash): ReadonlyMap<string, string> {
  return new Map([
    ['README.md', readme(facts, hash)],
    ['default.nix', printNix({ body: nix.call(nix.name('import'), nix.path('./universal.nix')) })],
    ['flake.nix', printNix({ body: flake(facts) })],
    ['package.nix', printNix({ body: nixpkgsPackage(facts) })],
    [
      'universal.nix',
      printNix({
        comment: [
          'One program for every host. Nix unpacks it by itself, with nothing from nixpkgs, so its store',
          'path is the same on all of them.',
        ],
        body: universal(facts, hash),
      }),
    ],
  ]);
}

function universal(facts: PackageFacts, hash: NixHash): NixExpr {
  const { pname, version, url } = facts;
  const place =
    url === undefined ? nix.string('file://', nix.path(`./${NAR_NAME}`)) : nix.string(url);
  return nix.operation(
    '//',
    nix.call(
      nix.name('import'),
      nix.lookup('nix/fetchurl.nix'),
      nix.set(
        nix.bind('name', nix.string(facts.name)),
        nix.bind('url', place),
        nix.bind('unpack', nix.name('true')),
        nix.bind('hash', nix.string(formatNixHash(hash, 'sri'))),
      ),
    ),
    nix.set(
      nix.bind('pname', nix.string(pname)),
      nix.bind('version', nix.string(version)),
      nix.bind('meta', nix.set(...meta(facts, plainLicense, [PLAIN_PROVENANCE]))),
    ),
  );
}

/** nixpkgs' `lib.sourceTypes.binaryNativeCode`, for those who have no nixpkgs. */
const PLAIN_PROVENANCE = nix.value({ shortName: 'binaryNativeCode', isSource: false });

function plainLicense(license: string): NixExpr {
  const data: NixData =
    license === 'unfree'
      ? { shortName: 'unfree', fullName: 'Unfree', free: false }
      : { shortName: license, spdxId: license };
  return nix.value(data);
}

function meta(
  facts: PackageFacts,
  license: (name: string) => NixExpr,
  provenance: readonly NixExpr[],
): readonly NixBinding[] {
  const [first, ...more] = facts.licenses.map(license);
  const licenses = more.length === 0 ? first : nix.list(first as NixExpr, ...more);
  return [
    nix.bind('description', nix.string(facts.description)),
    ...(licenses === undefined ? [] : [nix.bind('license', licenses)]),
    nix.bind('sourceProvenance', nix.list(...provenance)),
    nix.bind('mainProgram', nix.string(facts.programs[0])),
    nix.bind('platforms', nix.list(...facts.systems.map((system) => nix.string(system)))),
  ];
}

function flake(facts: PackageFacts): NixExpr {
  const { pname } = facts;
  const named = (value: NixExpr) => [
    ...(pname === 'default' ? [] : [nix.bind('default', value)]),
    nix.bind(pname, value),
  ];
  const everywhere = (...bindings: readonly NixBinding[]) =>
    nix.call(nix.name('forAllSystems'), nix.lambda('_', nix.set(...bindings)));
  return nix.set(
    nix.bind('description', nix.string(facts.description)),
    nix.bind(
      'outputs',
      nix.pattern(
        ['self'],
        nix.let(
          [
            nix.bind('package', nix.call(nix.name('import'), nix.path('./universal.nix'))),
            nix.bind('forAllSystems', forAllSystems()),
            nix.bind('app', appOfName()),
          ],
          nix.set(
            nix.bind('packages', everywhere(...named(PACKAGE))),
            nix.bind('apps', everywhere(...apps(facts))),
            nix.bind('checks', everywhere(nix.bind(pname, PACKAGE))),
            nix.bind(
              ['overlays', 'default'],
              nix.lambda(
                'final',
                'prev',
                nix.set(
                  nix.bind(
                    pname,
                    nix.call(
                      nix.name('final', 'callPackage'),
                      nix.path('./package.nix'),
                      nix.set(),
                    ),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

function forAllSystems(): NixExpr {
  const pair = nix.set(
    nix.inherit(['name']),
    nix.bind('value', nix.call(nix.name('f'), nix.name('name'))),
  );
  const pairs = nix.call(
    nix.name('map'),
    nix.lambda('name', pair),
    nix.name('package', 'meta', 'platforms'),
  );
  return nix.lambda('f', nix.call(nix.name('builtins', 'listToAttrs'), pairs));
}

/** Each program under its own name; the main one is the default too. */
function apps({ programs }: PackageFacts): readonly NixBinding[] {
  const app = (program: string) => nix.call(nix.name('app'), nix.string(program));
  const names = new Set(programs);
  return [
    ...(names.has('default') ? [] : [nix.bind('default', app(programs[0]))]),
    ...[...names].map((name) => nix.bind(name, app(name))),
  ];
}

function appOfName(): NixExpr {
  return nix.lambda(
    'name',
    nix.set(
      nix.bind('type', nix.string('app')),
      nix.bind('program', nix.string(PACKAGE, '/bin/', nix.name('name'))),
      nix.bind('meta', nix.set(nix.inheritFrom(nix.name('package', 'meta'), ['description']))),
    ),
  );
}

/** As nixpkgs has its packages: for `callPackage`, with nixpkgs' own words for licences. */
function nixpkgsPackage(facts: PackageFacts): NixExpr {
  const set = nix.name('true');
  return nix.pattern(
    ['lib', 'stdenvNoCC'],
    nix.call(
      nix.name('stdenvNoCC', 'mkDerivation'),
      nix.set(
        nix.bind('pname', nix.string(facts.pname)),
        nix.bind('version', nix.string(facts.version)),
        nix.bind('src', nix.call(nix.name('import'), nix.path('./universal.nix')), { gap: true }),
        nix.bind('strictDeps', set, { gap: true }),
        nix.bind('dontUnpack', set),
        nix.bind('dontConfigure', set),
        nix.bind('dontBuild', set),
        nix.bind('dontFixup', set, {
          comment: ['The fixups would change the file.'],
        }),
        nix.bind(
          'installPhase',
          nix.script`
            runHook preInstall
            mkdir -p "$out"
            cp -r "$src"/. "$out"
            runHook postInstall
          `,
          { gap: true },
        ),
        nix.bind('meta', nix.set(...meta(facts, nixpkgsLicense, [BINARY])), { gap: true }),
      ),
    ),
  );
}

const BINARY = nix.name('lib', 'sourceTypes', 'binaryNativeCode');

function nixpkgsLicense(license: string): NixExpr {
  if (license === 'unfree') return nix.name('lib', 'licenses', 'unfree');
  return nix.call(nix.name('lib', 'getLicenseFromSpdxId'), nix.string(license));
}
