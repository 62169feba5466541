import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findProgram, REPOSITORY } from '@uport/testkit';
import { type Finished, type StartOptions, start } from './uport.ts';

export const nixMissing = findProgram('nix') ? undefined : 'nix missing: apt-get install nix-bin';

/** Nix with a store, settings and profiles of its own below `root`: no daemon, no substitutes. */
export function nixIn(root: string, settings: readonly string[] = []) {
  return (
    command: string,
    args: readonly string[],
    options: StartOptions = {},
  ): Promise<Finished> =>
    start(command, args, {
      ...options,
      env: {
        HOME: root,
        XDG_CACHE_HOME: path.join(root, 'cache'),
        NIX_CONF_DIR: root,
        NIX_REMOTE: root,
        NIX_CONFIG: [
          'build-users-group =',
          'substituters =',
          'experimental-features = nix-command flakes',
          ...settings,
        ].join('\n'),
        ...options.env,
      },
    });
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
