// The builder of derivations that need no nixpkgs: runs `uport build` and keeps one of its outputs.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';

const { out, program, take, place } = process.env;
const command = JSON.parse(process.env.command);
const dist = path.resolve('dist');
const env = { HOME: process.cwd(), UPORT_STORE_DIR: path.resolve('store') };

/** Runs the command to its end. */
function uport(args, output) {
  const [file, ...words] = [...command, ...args];
  const stdio = ['ignore', output, output === 'pipe' ? 'ignore' : 'inherit'];
  const finished = spawnSync(file, words, { stdio, env, encoding: 'utf8' });
  if (finished.error !== undefined) throw finished.error;
  return finished;
}

/** What cannot be looked at is told by the build. */
function runsEverywhere() {
  const { status, stdout } = uport(['inspect', '--json', program], 'pipe');
  return status === 0 && JSON.parse(stdout).kind === 'universal';
}

/** Made last: some versions of Nix leave what a failed build has put there. */
function keep(source) {
  const target = path.join(out, place);
  mkdirSync(path.dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true });
}

if (place !== '' && runsEverywhere()) {
  keep(program);
} else {
  const { status } = uport(['build', ...JSON.parse(process.env.build), '-o', dist], 'inherit');
  if (status !== 0) process.exit(status ?? 1);
  keep(path.join(dist, take));
}
