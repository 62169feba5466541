// Programs of Debian, what each is asked to do, and what it must print.

/** A CPU whose packages are tried. */
export interface SoftwareGuest {
  readonly arch: string;
  readonly suite: string;
  /** Names of packages that differ between suites and CPUs. */
  readonly packages: readonly string[];
  /** What `$HOSTTYPE` and Python call it. */
  readonly machine: string;
  readonly order: 'little' | 'big';
  /** Debian has no luajit for it, or it is an interpreter there. */
  readonly withoutLuajit?: true;
}

const BOOKWORM = ['postgresql-15', 'openjdk-17-jdk-headless'];

/** The first is the most wanted. */
export const SOFTWARE_GUESTS: readonly SoftwareGuest[] = [
  {
    arch: 'arm64',
    suite: 'bookworm',
    packages: [...BOOKWORM, 'luajit'],
    machine: 'aarch64',
    order: 'little',
  },
  {
    arch: 's390x',
    suite: 'bookworm',
    packages: BOOKWORM,
    machine: 's390x',
    order: 'big',
    withoutLuajit: true,
  },
  {
    arch: 'ppc64el',
    suite: 'bookworm',
    packages: BOOKWORM,
    machine: 'powerpc64le',
    order: 'little',
    withoutLuajit: true,
  },
  {
    arch: 'armhf',
    suite: 'bookworm',
    packages: [...BOOKWORM, 'luajit'],
    machine: 'arm',
    order: 'little',
  },
  {
    arch: 'riscv64',
    suite: 'trixie',
    packages: ['postgresql-17', 'openjdk-21-jdk-headless'],
    machine: 'riscv64',
    order: 'little',
    withoutLuajit: true,
  },
];

/** Packages of every image. */
export const COMMON_PACKAGES: readonly string[] = [
  ...['bash', 'coreutils', 'diffutils', 'findutils', 'grep', 'sed', 'tar', 'xz-utils', 'gzip'],
  ...['git', 'perl', 'python3', 'make', 'gcc', 'libc6-dev', 'sqlite3', 'redis-server', 'nodejs'],
  'restic',
];

/** What the quick part needs, 10 MB of it. */
export const QUICK_PACKAGES: readonly string[] = [
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'diffutils', 'grep'],
];

export interface Workload {
  readonly name: string;
  /** A line of a shell; the scripts are in `/scripts`. */
  readonly command: string;
  readonly expected: (guest: SoftwareGuest) => readonly string[];
  readonly quick?: true;
  readonly without?: (guest: SoftwareGuest) => boolean;
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'bash: pipes, traps, a coprocess and job control',
    command: 'bash /scripts/bash.sh 2>/dev/null',
    quick: true,
    expected: ({ machine }) => [
      ...['997 987 979', '< b', '---', '> c', 'through', 'trapped', 'stopped', 'ended with 143'],
      ...['7 0', `other ${machine}`],
    ],
  },
  {
    name: 'find -exec, and xargs with four at a time',
    command: 'bash /scripts/find.sh',
    expected: () => ['55a53aec9ce1274c', ' 24 total', ' 24 file', '21'],
  },
  {
    name: 'git: clone, merge, gc, fsck, push',
    command: 'bash /scripts/git.sh',
    expected: () => ['12', '185a6595d2bb6e187d58d4d9d6dd217ebae36eab', '  side'],
  },
  {
    name: 'perl: fork, pipes, open3, signals, threads',
    command: 'perl /scripts/perl.pl',
    expected: () => [
      ...['sum 108', '1+2+3+4+5', 'c b a', 'signals 1', 'in backquotes', 'threads 30'],
    ],
  },
  {
    name: 'python3: subprocess, multiprocessing in three ways, threads, asyncio',
    command: 'python3 /scripts/python.py',
    expected: ({ order }) => [
      ...["['b', 'a']", '-9', '1,2,3'],
      ...['fork', 'spawn', 'forkserver'].map((way) => `${way} [0, 1, 4, 9, 16, 25]`),
      ...['counter 200', 'threads 328350', 'timeout', 'ASYNCIO', `1 ${order}`],
    ],
  },
  {
    name: 'make -j4 and gcc',
    command: 'bash /scripts/make.sh',
    expected: () => ['9531', 'built'],
  },
  {
    name: 'tar, xz with threads, gzip',
    command: 'bash /scripts/tar.sh',
    expected: () => ['same', '64', 'whole'],
  },
  {
    name: 'sqlite3: two writers at once',
    command: 'bash /scripts/sqlite.sh',
    expected: () => ['wal', '20020|177850', 'ok', 'from sqlite'],
  },
  {
    name: 'redis: a server, Lua, a background save',
    command: 'bash /scripts/redis.sh',
    expected: () => [
      ...['OK', 'value', '500500', 'benchmark', 'Background saving started'],
      ...['rdb_last_bgsave_status:ok', 'ended', 'RDB looks OK'],
    ],
  },
  {
    name: 'postgres: initdb, a server, four clients, parallel workers',
    command: 'bash /scripts/postgres.sh',
    expected: () => ['20000|660000', '1', '20000', 'stopped'],
  },
  {
    name: 'openjdk: javac, both JIT compilers, threads, a child',
    command: 'bash /scripts/java.sh',
    expected: () => ['6135095', '1', 'FROM JAVA', '3', 'overflow', 'null'],
  },
  {
    name: 'node: V8, workers, children',
    command: 'node /scripts/node.mjs',
    expected: () => ['46368', '55 610 6765', '1-2-3-4', '3', 'SIGTERM', 'c491dd5e22a2658c'],
  },
  {
    name: 'restic, a Go program: goroutines, backup, check, restore',
    command: 'bash /scripts/go.sh',
    expected: () => ['2', 'same'],
  },
  {
    name: 'luajit: traces and callbacks',
    command: 'luajit /scripts/luajit.lua | cut -f 1-3',
    expected: () => ['252', '1\t9\ttrue', '3\ttrue\tfold'],
    without: ({ withoutLuajit }) => withoutLuajit === true,
  },
];

/** Those that Debian has for a guest. */
export function workloadsOf(guest: SoftwareGuest): readonly Workload[] {
  return WORKLOADS.filter(({ without }) => !without?.(guest));
}
