// Starts of a universal file against the same emulator started directly, side by side in one run, and its size.
//
//   node bench/universal.mjs [ROUNDS]        default: 40 rounds of 10 starts each
//
// Needs Debian's gcc-riscv64-linux-gnu and zstd, and `npm run build` before. Each round times every way in turn, so that
// a change of the machine's speed meets all alike; the medians of the rounds' ratios are printed.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Store } from '../packages/core/dist/index.js';

const ROUNDS = Number(process.argv[2] ?? 40);
const STARTS = 10;
const root = path.join(import.meta.dirname, '..');
const folder = mkdtempSync(path.join(tmpdir(), 'uport-bench-'));
const source = 'int puts(const char *); int main(void) { puts("hello"); return 0; }\n';

function run(command, args, env = {}) {
  return execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
}

/** Microseconds a start takes, over STARTS of them, timed by sh so that no Node lies between. */
function time(command) {
  const script = `i=0; while [ $i -lt ${STARTS} ]; do ${command} >/dev/null; i=$((i+1)); done`;
  const begin = process.hrtime.bigint();
  const { status } = spawnSync('sh', ['-c', script], { env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`failed: ${command}`);
  return Number(process.hrtime.bigint() - begin) / 1000 / STARTS;
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const env = { PATH: process.env.PATH, HOME: path.join(folder, 'home') };
try {
  mkdirSync(env.HOME);
  writeFileSync(path.join(folder, 'hello.c'), source);
  const compile = (compiler, name) =>
    run(compiler, ['-O2', '-static', '-o', path.join(folder, name), path.join(folder, 'hello.c')]);
  compile('riscv64-linux-gnu-gcc', 'hello');
  compile('gcc', 'native');
  const uport = path.join(root, 'packages/cli/bin/uport.js');
  const build = (...args) =>
    run(process.execPath, [uport, 'build', path.join(folder, 'hello'), '-o', folder, ...args]);
  build('--emit', 'universal', '--name', 'universal');
  const plan = JSON.parse(readFileSync(path.join(folder, 'plan.json'), 'utf8'));
  build('--emit', 'universal', '--per-host', '--name', 'single', '--host', 'amd64');
  build(
    ...['--emit', 'universal', '--name', 'sliced', '--host', 'amd64'],
    ...['--slice', `amd64=${path.join(folder, 'native')}`],
  );
  const stock = ['--emulator-preparation', 'none', '--name', 'stock', '--host', 'amd64'];
  build('--emit', 'universal', ...stock);
  build('--emit', 'universal', '--per-host', ...stock);
  const store = await Store.open();
  const here = plan.hosts.find(({ host }) => host === 'x86_64');
  const { digest, preparedFrom = digest } = here.emulator;
  for (const [name, file] of Object.entries({ qemu: preparedFrom, prepared: digest })) {
    writeFileSync(path.join(folder, name), readFileSync(store.pathOf(file)), { mode: 0o755 });
  }

  const at = (name) => `'${path.join(folder, name)}'`;
  const ways = {
    direct: `${at('qemu')} ${at('hello')}`,
    'direct, prepared': `${at('prepared')} ${at('hello')}`,
    universal: at('universal'),
    'universal, stock': at('stock'),
    'single-host': at('single-x86_64'),
    'single-host, stock': at('stock-x86_64'),
    'native slice': at('sliced'),
    'sh -c exec native': `sh -c 'exec "$0"' ${at('native')}`,
  };
  const cold = time(`rm -rf "$HOME/.cache"; ${ways.universal}`);
  const coldDirect = time(`rm -rf "$HOME/.cache"; ${ways.direct}`);
  const rounds = Array.from({ length: ROUNDS + 1 }, () =>
    Object.fromEntries(Object.entries(ways).map(([way, command]) => [way, time(command)])),
  ).slice(1);
  const ratio = (way, to) => median(rounds.map((round) => round[way] / round[to]));
  for (const way of Object.keys(ways)) {
    console.log(`${way.padEnd(20)} ${(median(rounds.map((r) => r[way])) / 1000).toFixed(2)} ms`);
  }
  // The emulator as its source has it, and the same with its relocations applied (docs/emulators.md).
  for (const way of ['universal', 'universal, stock', 'single-host', 'single-host, stock']) {
    for (const to of ['direct', 'direct, prepared']) {
      console.log(`${`${way} / ${to}`.padEnd(40)} ${ratio(way, to).toFixed(3)}`);
    }
  }
  const over = median(rounds.map((r) => r['native slice'] - r['sh -c exec native'])) / 1000;
  console.log(`native slice - sh -c exec   ${over.toFixed(2)} ms`);
  console.log(`cold start - direct         ${((cold - coldDirect) / 1000).toFixed(1)} ms`);

  const size = statSync(path.join(folder, 'universal')).size;
  const program = statSync(path.join(folder, 'hello')).size;
  const pins = plan.hosts.flatMap(({ emulator: pin }) => (pin ? [pin] : []));
  const sums = {
    'emulators from their source': pins.map((pin) => pin.preparedFrom ?? pin.digest),
    'emulators as they are inside': pins.map((pin) => pin.digest),
  };
  for (const [what, digests] of Object.entries(sums)) {
    let sum = program;
    for (const digest of digests) {
      const zstd = spawnSync('zstd', ['-19', '-c', store.pathOf(digest)], { maxBuffer: 1 << 28 });
      sum += zstd.stdout.length;
    }
    console.log(`size / (${what} under zstd -19 + payload)  ${(size / sum).toFixed(4)}`);
  }
  console.log(`size  ${size} bytes`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
