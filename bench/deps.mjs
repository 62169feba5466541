// What `uport deps` costs beside other tools that tell a program's libraries, side by side: lddtree of
// pax-utils, libtree, and Node doing nothing, which is the least that a program in JavaScript can cost.
//
//   node bench/deps.mjs [--rounds N] [FILE...]
//
// Without files: a static program, one with few libraries, and the one with most of some that machines
// often have. Needs bash and a built workspace; `apt-get install -y pax-utils python3-pyelftools libtree`
// for the others, which are left out where they are missing. Each round runs every tool in turn, so
// that a change of the machine's speed meets all alike; medians of the rounds' ratios are printed.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '15' } },
  allowPositionals: true,
});
const root = path.join(import.meta.dirname, '..');
const uport = [process.execPath, path.join(root, 'packages/cli/bin/uport.js'), 'deps'];
// Debian's Python has what Debian's lddtree needs.
const peers = [
  { name: 'lddtree', needs: '/usr/bin/lddtree', command: ['/usr/bin/python3', '/usr/bin/lddtree'] },
  { name: 'libtree', needs: '/usr/bin/libtree', command: ['/usr/bin/libtree'] },
];
const tools = [
  { name: 'uport deps', command: uport },
  { name: 'uport deps --list', command: [...uport, '--list'] },
  ...peers.filter(({ name, needs }) => {
    if (existsSync(needs)) return true;
    console.log(`${name} is left out: there is no ${needs}`);
    return false;
  }),
  { name: 'node -e 0', command: [process.execPath, '-e', '0', '--'] },
];

const MANY = ['gdb', 'qemu-system-aarch64', 'podman', 'git', 'systemctl', 'apt-get', 'python3'];
const FEW = ['ls', 'bash'];

const libraries = (file) =>
  execFileSync(uport[0], [...uport.slice(1), '--list', file], { encoding: 'utf8' }).split('\n')
    .length - 2;
const found = (names) => names.map((name) => `/usr/bin/${name}`).filter((each) => existsSync(each));

function programs() {
  if (positionals.length > 0) return positionals;
  const many = found(MANY).toSorted((a, b) => libraries(b) - libraries(a))[0];
  const few = found(FEW)[0];
  return [path.join(root, 'examples/nqueens/nqueens'), few, many].filter((each) => each);
}

/** Seconds of both kinds of one run, as bash has them. */
function timed(command) {
  const script = 'TIMEFORMAT=\'%3R %3U %3S\'; time "$@" >/dev/null 2>/dev/null';
  const { stderr } = spawnSync('bash', ['-c', script, 'bash', ...command], { encoding: 'utf8' });
  const [wall, user, system] = stderr.trim().split(' ').map(Number);
  return { wall, cpu: user + system };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const ms = (seconds) => `${(seconds * 1000).toFixed(0)} ms`;

for (const file of programs()) {
  const count = Math.max(0, libraries(file));
  console.log(`\n${file}, ${count} libraries, load average ${loadavg()[0].toFixed(1)}`);
  const runs = tools.map(() => []);
  for (const { command } of tools) timed([...command, file]);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [index, { command }] of tools.entries()) runs[index].push(timed([...command, file]));
  }
  const base = tools.findIndex(({ name }) => name === 'lddtree');
  for (const [index, { name }] of tools.entries()) {
    const of = (kind) => {
      const time = ms(median(runs[index].map((run) => run[kind])));
      if (base < 0) return time;
      const ratio = median(runs[index].map((run, round) => run[kind] / runs[base][round][kind]));
      return `${ratio.toFixed(2)} of lddtree (${time})`;
    };
    console.log(`  ${name.padEnd(18)} CPU ${of('cpu')}, wall ${of('wall')}`);
  }
}
