// The builder of derivations that need no nixpkgs: runs `uport build` and keeps one of its outputs.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';

const { out, program, take, place } = process.env;
const command = JSON.parse(process.env.command);
const dist = path.resolve('dist');
const env = { HOME: process.cwd(), UPORT_STORE_DIR: path.resolve('store') };

/** Runs the command to its end; its standard output when that is asked for. */
function uport(args, output) {
  const [file, ...words] = [...command, ...args];
  const stdio = ['ignore', output, 'inherit'];
  const { status, error, stdout } = spawnSync(file, words, { stdio, env, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}

const target = path.join(out, place);
mkdirSync(path.dirname(target), { recursive: true });
const { kind } = JSON.parse(uport(['inspect', '--json', program], 'pipe'));
if (kind === 'universal' && place !== '') {
  // It runs on every host already.
  cpSync(program, target);
} else {
  uport(['build', ...JSON.parse(process.env.build), '-o', dist], 'inherit');
  cpSync(path.join(dist, take), target, { recursive: true });
}
