import { formatNixHash, type NixHash } from '../../nix/hash.ts';
import { type PackageFacts, storePathOf } from './package-facts.ts';

/** The folder's README: what it is and a command for each way to use it. */
export function readme(facts: PackageFacts, hash: NixHash): string {
  const { pname, systems } = facts;
  const place = storePathOf(facts, hash);
  return `# ${pname} ${facts.version}

A Nix package that is the same on ${systems.join(', ')}: one program that starts on each of them.
Building it needs Nix 2.8 or newer and nothing else.

    nix build path:.
    nix run path:. -- ARGUMENTS
    nix profile install path:.
    nix-build
    nix-env -i -f .

Without flakes, in a configuration of your own: \`import ./universal.nix\`. With nixpkgs:
\`pkgs.callPackage ./package.nix { }\`, or the flake's \`overlays.default\`.

- Store path: \`${place}\`
- Hash of the NAR: \`${formatNixHash(hash, 'sri')}\`
`;
}
