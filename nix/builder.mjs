// The builder of derivations that need no nixpkgs: runs `uport build` and keeps one of its outputs.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { out, program, take, place } = process.env;
const command = JSON.parse(process.env.command);
const words = JSON.parse(process.env.build);
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

/** The hosts of a file that runs on several already. What cannot be looked at is told by the build. */
function hostsOfUniversal() {
  const { status, stdout } = uport(['inspect', '--json', program], 'pipe');
  const found = status === 0 ? JSON.parse(stdout) : {};
  return found.kind === 'universal' ? found.hosts.map(({ host }) => host) : undefined;
}

/** It is taken as it is, so it must be all that was asked for. */
async function checkAsItIs(hosts) {
  const require = createRequire(command.at(-1));
  const { parseArch } = await import(pathToFileURL(require.resolve('@uport/core/model')));
  const option = (name) =>
    words.flatMap((word) => (word.startsWith(name) ? [word.slice(name.length)] : []));
  const lacking = option('--host=').filter((host) => !hosts.includes(parseArch(host).name));
  if (lacking.length > 0) {
    fail(`it has no ${lacking.join(', ')}`, `hosts = [ … ] without these`);
  }
  const known = /^--(?:emit|name|emulators|host)=/;
  const unmet = words.slice(1).filter((word) => !known.test(word));
  if (unmet.length > 0) fail(`${unmet.join(' ')} cannot change it`, 'no slices and no extraFlags');
}

function fail(why, instead) {
  console.error(
    `uport: ${program} runs on several CPUs already and is taken as it is, but ${why}.`,
  );
  console.error(`Give the bundler ${instead}, or the program that this one was made from.`);
  process.exit(1);
}

/** Made last: some versions of Nix leave what a failed build has put there. */
function keep(source) {
  const target = path.join(out, place);
  mkdirSync(path.dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true });
}

const hosts = place === '' ? undefined : hostsOfUniversal();
if (hosts !== undefined) {
  await checkAsItIs(hosts);
  keep(program);
} else {
  const { status } = uport(['build', ...words, '-o', dist], 'inherit');
  if (status !== 0) process.exit(status ?? 1);
  keep(path.join(dist, take));
}
