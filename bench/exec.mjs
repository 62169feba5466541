// What the ways of starting children cost: a riscv64 program that starts 2,000 others, one that makes
// 2,000 threads, and one that does neither, in each way of the launcher, side by side.
//
//   node bench/exec.mjs [--rounds N] [--children N] [--launcher FILE]
//                       [--only children|threads|neither]
//
// Needs root, for the system's binfmt_misc, which has the registration while it runs; Linux 6.7;
// Debian's gcc-riscv64-linux-gnu and qemu-user-static. Each round times every way in turn, so that a
// change of the machine's speed meets all alike; the medians of the rounds' ratios are printed.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { binfmtLine, binfmtRegistration, parseArch } from '../packages/core/dist/index.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    children: { type: 'string', default: '2000' },
    only: { type: 'string' },
    launcher: { type: 'string' },
  },
});
const root = path.join(import.meta.dirname, '..');
const folder = mkdtempSync(path.join(tmpdir(), 'uport-bench-'));
const BINFMT = '/proc/sys/fs/binfmt_misc';
const USER = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];

const SOURCES = {
  hello: 'int main(void) { return 0; }',
  children: `#include <stdlib.h>
    #include <sys/wait.h>
    #include <unistd.h>
    extern char **environ;
    int main(int count, char **args) {
      (void)count;
      for (int i = atoi(args[1]); i > 0; i--) {
        char *argv[] = {"child", "some", "arguments", 0};
        int status = 1;
        pid_t child = vfork();
        if (child == 0) { execve(args[2], argv, environ); _exit(99); }
        if (waitpid(child, &status, 0) != child || status != 0) return 1;
      }
      return 0;
    }`,
  threads: `#include <pthread.h>
    #include <stdlib.h>
    static void *run(void *unused) { return unused; }
    int main(int count, char **args) {
      (void)count;
      for (int i = atoi(args[1]); i > 0; i--) {
        pthread_t one;
        if (pthread_create(&one, 0, run, 0) || pthread_join(one, 0)) return 1;
      }
      return 0;
    }`,
  steady: `#include <stdlib.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    int main(int count, char **args) {
      (void)count;
      volatile unsigned sum = 0;
      for (int i = atoi(args[1]) * 1000; i > 0; i--) {
        sum += i;
        if (i % 4 == 0) syscall(SYS_getppid);
      }
      return 0;
    }`,
};

function register(text) {
  execFileSync('sh', ['-c', `printf %s "$1" >"$2"`, 'sh', text, `${BINFMT}/register`]);
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
let mounted = false;
let registered = false;
process.on('exit', () => {
  if (registered) spawnSync('sh', ['-c', `echo -1 >${BINFMT}/uport-riscv64`]);
  if (mounted) spawnSync('umount', [BINFMT]);
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

chmodSync(folder, 0o755);
mkdirSync(path.join(folder, '.uport'));
const at = (name) => path.join(folder, name);
for (const [name, source] of Object.entries(SOURCES)) {
  writeFileSync(at(`${name}.c`), source);
  execFileSync('riscv64-linux-gnu-gcc', [
    '-O2',
    '-static',
    '-pthread',
    '-o',
    at(name),
    at(`${name}.c`),
  ]);
}
copyFileSync(
  values.launcher ?? path.join(root, 'packages/launcher/prebuilt/x86_64/launch'),
  at('.uport/launch'),
);
copyFileSync('/usr/bin/qemu-riscv64-static', at('.uport/qemu-riscv64'));
writeFileSync(
  at('.uport/manifest'),
  'uport-manifest 1\nemulator riscv64 243 64 lsb 0 0 qemu-riscv64\n',
);
if (!existsSync(`${BINFMT}/register`)) {
  execFileSync('mount', ['-t', 'binfmt_misc', 'none', BINFMT]);
  mounted = true;
}
register(binfmtLine(binfmtRegistration(parseArch('riscv64'), at('.uport/qemu-riscv64'))));
registered = true;

const runs = {
  [`${values.children} children`]: ['children', values.children, at('hello')],
  '2000 threads': ['threads', '2000'],
  'neither (steady state)': ['steady', '20000'],
};
const ways = ['binfmt', 'userns', 'ptrace'];
const time = (way, [program, ...args]) => {
  const [command, ...rest] = [...USER, at('.uport/launch'), '--', at(program), ...args];
  const begin = process.hrtime.bigint();
  const { status } = spawnSync(command, rest, {
    env: { PATH: process.env.PATH, UPORT_EXEC: way },
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`${way}: ${program} failed`);
  return Number(process.hrtime.bigint() - begin) / 1e6;
};
for (const [name, run] of Object.entries(runs)) {
  if (values.only !== undefined && !name.includes(values.only)) continue;
  const rounds = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // The one that comes first differs from round to round.
    const order = ways.map((_, i) => ways[(i + round) % ways.length]);
    rounds.push(Object.fromEntries(order.map((way) => [way, time(way, run)])));
  }
  console.log(name);
  for (const way of ways) {
    const ratio = median(rounds.map((each) => each[way] / each.binfmt)).toFixed(3);
    const best = (
      Math.min(...rounds.map((each) => each[way])) / Math.min(...rounds.map((each) => each.binfmt))
    ).toFixed(3);
    const milliseconds = median(rounds.map((each) => each[way])).toFixed(0);
    console.log(
      `  ${way.padEnd(8)} ${milliseconds.padStart(7)} ms  ${ratio} (best ${best}) of the system's binfmt_misc`,
    );
  }
}
