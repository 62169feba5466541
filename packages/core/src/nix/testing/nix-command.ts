// Debian's nix-bin as the oracle of tests: no daemon, no network, a store of its own.
import { spawnSync } from 'node:child_process';

/** Not asked of `nix-store`: its `--version` makes /nix. */
export const nixMissing =
  spawnSync('nix', ['--version']).status !== 0
    ? 'nix-bin is missing: apt-get install nix-bin'
    : undefined;

/** Runs a Nix command; its standard output. The store and all state lie in `root`. */
export function runNix(
  root: string,
  command: string,
  args: readonly (string | Buffer)[],
  input = '',
): Buffer {
  const { status, stdout, stderr } = spawnSync(command, args as string[], {
    input,
    maxBuffer: 1 << 28,
    env: {
      PATH: process.env.PATH,
      HOME: root,
      NIX_CONF_DIR: root,
      NIX_REMOTE: root,
      NIX_CONFIG:
        'build-users-group =\nsubstituters =\nexperimental-features = nix-command flakes\n',
    },
  });
  if (status !== 0) throw new Error(`${command}: ${stderr.toString()}`);
  return stdout;
}
