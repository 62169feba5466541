// Builds an image from 500 MB in 5,000 files with uport and its peers, in turns, and prints ratios.
// Usage: node bench/image.mjs [--rounds N] [--only NAME] [--files N] [--bytes N] [--keep FOLDER]
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { tinyProgram, writeContent } from './content.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '5000' },
    bytes: { type: 'string', default: '500000000' },
    only: { type: 'string', default: '' },
    keep: { type: 'string' },
  },
});
const work = values.keep ?? mkdtempSync(path.join(tmpdir(), 'uport-bench-'));
const app = path.join(work, 'app');
const uport = path.resolve(import.meta.dirname, '..', 'packages', 'cli', 'bin', 'uport.js');

if (!existsSync(app)) {
  mkdirSync(app, { recursive: true });
  writeContent(app, { files: Number(values.files), total: Number(values.bytes) });
  writeFileSync(path.join(app, 'start'), tinyProgram(), { mode: 0o755 });
}
writeFileSync(
  path.join(work, 'Containerfile'),
  'FROM scratch\nCOPY app /app\nENTRYPOINT ["/app/start"]\n',
);

const out = (name) => path.join(work, `out-${name}`);
const store = ['--root', out('storage'), '--runroot', out('run'), '--storage-driver', 'vfs'];
const build = (name, ...more) => [
  [
    process.execPath,
    uport,
    'build',
    app,
    '--entrypoint',
    'start',
    '--emit',
    'oci',
    '--host',
    'amd64',
    '-o',
    out(name),
    ...more,
  ],
];

/** Each makes an image of one platform from the same folder. */
const CONTESTANTS = {
  'uport (gzip)': { outputs: ['uport'], commands: build('uport') },
  'uport (zstd)': { outputs: ['zstd'], commands: build('zstd', '--compression', 'zstd') },
  'umoci insert': {
    outputs: ['umoci'],
    prepare: [
      ['umoci', 'init', '--layout', out('umoci')],
      ['umoci', 'new', '--image', `${out('umoci')}:app`],
    ],
    commands: [['umoci', 'insert', '--image', `${out('umoci')}:app`, app, '/app']],
  },
  'buildah build + push': {
    outputs: ['storage', 'run', 'buildah'],
    commands: [
      ['buildah', ...store, 'build', '--isolation', 'chroot', '-q', '-t', 'bench', work],
      ['buildah', ...store, 'push', '-q', 'bench', `oci:${out('buildah')}:app`],
    ],
  },
};

/** Runs a command; answers its CPU time in seconds. */
function run(command) {
  const timed = ['-c', 'TIMEFORMAT="cpu %U %S"; time "$@"', 'bench', ...command];
  const done = spawnSync('bash', timed, { encoding: 'utf8' });
  if (done.status === 127) {
    console.error(`${command[0]} is missing: apt-get install -y umoci buildah`);
    process.exit(1);
  }
  if (done.status !== 0) {
    console.error(`${command.join(' ')}\n${done.stderr}`);
    process.exit(1);
  }
  const [, user, system] = /^cpu ([0-9.]+) ([0-9.]+)$/m.exec(done.stderr);
  return Number(user) + Number(system);
}

function clear(contestant) {
  for (const name of contestant.outputs) rmSync(out(name), { recursive: true, force: true });
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .reduce((sum, each) => sum + statSync(path.join(each.parentPath, each.name)).size, 0);
}

const names = Object.keys(CONTESTANTS).filter((name) => name.startsWith(values.only));
const times = new Map(names.map((name) => [name, []]));
const cpu = new Map(names.map((name) => [name, []]));
const sizes = new Map();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const name of names) {
    const contestant = CONTESTANTS[name];
    clear(contestant);
    for (const command of contestant.prepare ?? []) run(command);
    const start = performance.now();
    let spent = 0;
    for (const command of contestant.commands) spent += run(command);
    cpu.get(name).push(spent);
    times.get(name).push((performance.now() - start) / 1000);
    sizes.set(name, sizeOf(out(contestant.outputs.at(-1))));
    clear(contestant);
  }
}
if (!values.keep) rmSync(work, { recursive: true, force: true });

const best = (measured, name) => Math.min(...measured.get(name));
const ratio = (measured, name) =>
  times.has('umoci insert')
    ? `${(best(measured, name) / best(measured, 'umoci insert')).toFixed(2)} x umoci`
    : '';
console.log(`load average at the end: ${loadavg()[0].toFixed(1)}`);
for (const name of names) {
  console.log(
    [
      name.padEnd(20),
      `${best(times, name).toFixed(1)} s`.padStart(7),
      ratio(times, name).padEnd(12),
      `CPU ${best(cpu, name).toFixed(1)} s`.padEnd(10),
      ratio(cpu, name).padEnd(12),
      `${(sizes.get(name) / 1e6).toFixed(0)} MB`.padStart(6),
      `all: ${times
        .get(name)
        .map((each) => each.toFixed(1))
        .join(' ')}`,
    ].join('  '),
  );
}
