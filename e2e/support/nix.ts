import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, findProgram, REPOSITORY } from '@uport/testkit';
import { test } from 'vitest';
import { notRoot } from './tools.ts';
import { type Finished, type StartOptions, start } from './uport.ts';

export const nixMissing = findProgram('nix') ? undefined : 'nix missing: apt-get install nix-bin';

/** A Nix that tests run: this machine's, or that of a Debian release in a folder. */
export interface NixRelease {
  readonly name: string;
  /** A Debian root, whose /usr takes the place of this machine's. */
  readonly root?: string;
}

const THIS_MACHINES: NixRelease = { name: "this machine's Nix" };

/** Releases with newer Nixes, with what mmdebstrap needs to be told besides. */
const DEBIAN_ROOTS: readonly (NixRelease & { readonly root: string; readonly flags: string })[] = [
  { name: "trixie's Nix", root: cacheFolder('nix', 'trixie'), flags: '' },
  {
    name: "sid's Nix",
    root: cacheFolder('nix', 'sid'),
    flags: `--aptopt='Acquire::Check-Valid-Until "false"' `,
  },
];

/** Mounting takes root. */
const usable = ({ root }: { readonly root: string }) =>
  process.getuid?.() === 0 && existsSync(path.join(root, 'usr/bin/nix'));

/** This machine's Nix first, then those of the Debian roots that there are. */
export const NIX_RELEASES: readonly NixRelease[] = [THIS_MACHINES, ...DEBIAN_ROOTS.filter(usable)];

/** Tells which Nixes a file's tests could not run, and how they come to be there. */
export function skipMissingNixes(): void {
  for (const { name, root, flags } of DEBIAN_ROOTS.filter((each) => !usable(each))) {
    const place = path.relative(REPOSITORY, root);
    const command = `mmdebstrap ${flags}--variant=essential --include=nix-bin ${path.basename(root)} ${place}`;
    test.skip(`${name} (as root: ${command})`, () => {});
  }
}

export type Nix = (
  command: string,
  args: readonly string[],
  options?: StartOptions,
) => Promise<Finished>;

/** Starts a command with the release's /usr. */
const WITH_USR = 'mount --bind "$0/usr" /usr && exec "$@"';

/**
 * Nix with a store, settings and profiles of its own below `root`: no daemon, no substitutes, and
 * nothing of it in /nix.
 */
export function nixIn(
  root: string,
  settings: readonly string[] = [],
  release: NixRelease = THIS_MACHINES,
): Nix {
  const prefix =
    release.root === undefined ? [] : ['unshare', '--mount', 'sh', '-c', WITH_USR, release.root];
  return (command, args, options = {}) => {
    const [program, ...rest] = [...prefix, command, ...args];
    return start(program as string, rest, {
      // Builds in a sandbox begin with an empty store.
      seconds: 230,
      ...options,
      env: {
        HOME: root,
        XDG_CACHE_HOME: path.join(root, 'cache'),
        NIX_CONF_DIR: root,
        NIX_REMOTE: root,
        // Where nix-env would have its profiles, whatever the store.
        NIX_STATE_DIR: path.join(root, 'state'),
        NIX_CONFIG: [
          'build-users-group =',
          'substituters =',
          'experimental-features = nix-command flakes',
          ...settings,
        ].join('\n'),
        ...options.env,
      },
    });
  };
}

/**
 * A root of its own in which `$0/nix` is /nix, so that this machine's root gets none, and `$1`, unless
 * it is empty, is /usr.
 */
const AT_ITS_PLACE = `
  mkdir -p "$0/nix" "$0/mounts" && mount -t tmpfs tmpfs "$0/mounts" || exit 1
  for each in /*; do
    if [ "$each" = /nix ]; then continue
    elif [ -h "$each" ]; then cp -P "$each" "$0/mounts$each"
    elif [ -d "$each" ]; then
      mkdir "$0/mounts$each" && mount --rbind "$each" "$0/mounts$each" || exit 1
    fi
  done
  mkdir "$0/mounts/nix" "$0/mounts/old" && mount --rbind "$0/nix" "$0/mounts/nix" || exit 1
  # A chroot would not do: Nix goes back to the namespace's own root before it runs a program.
  here=$PWD && cd "$0/mounts" && pivot_root . old && umount -l /old && rmdir /old || exit 1
  [ -z "$1" ] || mount --bind "$1" /usr || exit 1
  shift && cd "$here" && exec "$@"`;

/** Why tests can't have a store at its usual place. */
export const noUsualPlace = nixMissing ?? notRoot('a store at /nix');

/**
 * The same store, at its usual place. Only there does Nix heed `sandbox = false`, since builds must find
 * any other under its usual name, and only there does Nix 2.8 find templates. Needs root.
 */
export function nixAtItsPlace(
  root: string,
  settings: readonly string[] = [],
  { root: debian }: NixRelease = THIS_MACHINES,
): Nix {
  const usr = debian === undefined ? '' : `${debian}/usr`;
  return (command, args, options = {}) =>
    nixIn(root, settings)(
      'unshare',
      ['--mount', 'sh', '-c', AT_ITS_PLACE, root, usr, command, ...args],
      { ...options, env: { NIX_REMOTE: 'local', NIX_STATE_DIR: '/nix/var/nix', ...options.env } },
    );
}

/**
 * A flake in the store, where Nix does not copy it again at each call. The store must be that of later
 * calls.
 */
export async function inStore(nix: Nix, flake: string): Promise<string> {
  const told = await nix('nix', ['flake', 'metadata', '--json', `path:${flake}`]);
  if (told.status !== 0) throw new Error(`nix flake metadata: ${told.stderr}`);
  return JSON.parse(told.stdout).path;
}

/** Options by which inputs of a flake are others. */
export function overriding(
  ...inputs: readonly (readonly [name: string, folder: string])[]
): readonly string[] {
  return [
    '--no-write-lock-file',
    ...inputs.flatMap(([name, place]) => ['--override-input', name, `path:${place}`]),
  ];
}

/** The tests' own small nixpkgs as a flake in `folder`, with Debian's static busybox. */
export async function stubNixpkgs(folder: string): Promise<string> {
  const place = path.join(folder, 'nixpkgs');
  await cp(path.join(REPOSITORY, 'e2e/support/nixpkgs'), place, { recursive: true });
  await mkdir(path.join(place, 'bin'));
  await copyFile(findProgram('busybox') as string, path.join(place, 'bin/busybox'));
  return place;
}

/** A flake that uses others, which `--override-input` names. */
export async function writeConsumer(folder: string, outputs: string): Promise<string> {
  const place = path.join(folder, 'consumer');
  await mkdir(place);
  await writeFile(path.join(place, 'flake.nix'), outputs);
  return place;
}
