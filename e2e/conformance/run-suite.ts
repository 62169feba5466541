import { type CommandResult, type HostCommand, type HostFile, runOnKernel } from '@uport/testkit';
import { binfmtModule } from '../support/binfmt-module.ts';
import { boxFiles, nativeBoxFiles, registrations } from './box.ts';
import { FORCED_WAYS, HERE, type Machine, type Way } from './ways.ts';

/** What was seen of each behaviour: nothing when it was as it must be. */
export type Outcomes = ReadonlyMap<string, string>;

export interface SuiteOptions {
  readonly ways?: readonly Way[];
  /** Names of behaviours; all when left out. */
  readonly only?: readonly string[];
  /** Of one behaviour. */
  readonly seconds?: number;
}

export interface SuiteRun {
  readonly kernel: string;
  readonly pageSize: number;
  readonly ways: ReadonlyMap<Way, Outcomes>;
}

const UID = 1000;

/**
 * Runs the suite on a machine, in every way that is asked for, in one start of it.
 *
 * @throws Error when a way did not even start, or the machine didn't
 */
export async function runSuite(machine: Machine, options: SuiteOptions = {}): Promise<SuiteRun> {
  const ways = machine.ways.filter((way) => options.ways?.includes(way) ?? true);
  const here = machine === HERE;
  const signal = AbortSignal.timeout(600_000);
  const files: Record<string, HostFile> = {};
  const add = (root: string, box: Record<string, HostFile>) => {
    for (const [name, file] of Object.entries(box)) files[root + name] = file;
  };
  add('/box', await boxFiles(machine, signal));
  if (ways.includes('native')) add('/native', await nativeBoxFiles(machine, signal));
  const commands: HostCommand[] = [];
  if (ways.some((way) => way === 'binfmt' || way === 'userns') && !here) {
    files['/box/lib/binfmt_misc.ko'] = { content: await binfmtModule(machine.name, signal) };
    commands.push({ argv: ['/bin/busybox', 'insmod', '/lib/binfmt_misc.ko'], root: '/box' });
  }
  const only = options.only ?? [];
  // In plain emulation some wait in vain for a child: that need not take long to be seen.
  const secondsOf = (way: Way) =>
    options.seconds ?? (way === 'none' ? (here ? 20 : 60) : here ? 60 : 240);
  const plan = ways.flatMap((way) =>
    partsOf(way, only).map((part) => {
      const own = only.filter((name) => part.has(name));
      return { way, part, at: commands.push(part.command(machine, way, secondsOf(way), own)) - 1 };
    }),
  );
  const report = await runOnKernel(machine.name, files, commands, {
    seconds: here ? 600 : 7200,
    // A second one makes a simulated machine slower: it spends its time on telling the other of changes.
    processors: 1,
  });
  const found = new Map<Way, Map<string, string>>();
  for (const { way, part, at } of plan) {
    const outcomes = found.get(way) ?? new Map<string, string>();
    found.set(way, outcomes);
    for (const [name, seen] of part.read(report.results[at] as CommandResult, way)) {
      outcomes.set(name, seen);
    }
  }
  return { kernel: report.kernel, pageSize: report.pageSize, ways: found };
}

/** One command of a way, and how its output is read. */
interface Part {
  /** Whether it checks this behaviour. */
  has(behaviour: string): boolean;
  /** `only` holds names of its own behaviours; empty for all. */
  command(machine: Machine, way: Way, seconds: number, only: readonly string[]): HostCommand;
  read(result: CommandResult, way: Way): Iterable<readonly [name: string, seen: string]>;
}

const ORPHANS_REAPED = 'process 1: orphans are reaped';

const SUITE: Part = {
  has: (behaviour) => !OUTSIDE.has(behaviour) && !FIRST_PROCESS.has(behaviour),
  command: (machine, way, seconds, only) =>
    entered(machine, way, [
      ...launcherOf(way),
      ...['/suite/suite', machine.arch, way === 'native' ? machine.arch : machine.third],
      ...[String(seconds), ...only],
    ]),
  read: readLines,
};

const OUTSIDE: Part = {
  has: (behaviour) => behaviour.startsWith('app: '),
  command: (machine, way, seconds, only) =>
    entered(machine, way, [
      ...['/suite/outside', String(seconds), String(orphansOn(machine, way))],
      ...[String(only.length), ...only, ...launcherOf(way)],
    ]),
  read: readLines,
};

const FIRST_PROCESS: Part = {
  has: (behaviour) => behaviour === ORPHANS_REAPED,
  command: (machine, way) =>
    entered(machine, way, [
      ...launcherOf(way),
      ...['/suite/tool', 'orphans', String(orphansOn(machine, way))],
      ...['zombies', '/suite/tool'],
    ]),
  read: ({ status, stdout, stderr }) => {
    const output = `${stdout}${stderr}`;
    const good = status === 0 && output === 'done\n0 zombies\n';
    return [[ORPHANS_REAPED, good ? '' : `status ${status}, printed ${output.trim()}`]];
  },
};

/** Without emulation there is no launcher that could be the first process. */
function partsOf(way: Way, only: readonly string[]): readonly Part[] {
  const parts = way === 'native' ? [SUITE, OUTSIDE] : [SUITE, OUTSIDE, FIRST_PROCESS];
  return parts.filter((part) => only.length === 0 || only.some((name) => part.has(name)));
}

/** A start takes a second or more on a simulated machine. */
function orphansOn(machine: Machine, way: Way): number {
  if (way === 'none') return 20;
  return machine === HERE ? 300 : 60;
}

function launcherOf(way: Way): readonly string[] {
  return way === 'native' ? [] : ['/uport/launch', '--manifest', '/uport/manifest', '--'];
}

/** A command of an ordinary user, prepared for a way. */
function entered(machine: Machine, way: Way, argv: readonly string[]): HostCommand {
  // This machine's own registrations are not for tests: the box has a user namespace for them.
  const lines =
    way === 'binfmt'
      ? [
          ...(machine === HERE ? ['-n'] : []),
          ...registrations(machine).flatMap((line) => ['-r', line]),
        ]
      : [];
  return {
    argv: [
      ...['/opt/enter', ...(machine === HERE ? [] : ['-m']), ...lines, '-u', String(UID)],
      ...(way === 'listen' ? ['-t', '--'] : way === 'ptrace' ? ['-b', '--'] : ['--']),
      ...argv,
    ],
    env: [
      'PATH=/bin:/usr/bin',
      'HOME=/tmp',
      ...(way === 'native' ? [] : [`UPORT_EXEC=${FORCED_WAYS[way]}`]),
      ...(process.env.UPORT_DEBUG ? ['UPORT_DEBUG=1'] : []),
    ],
    root: way === 'native' ? '/native' : '/box',
    pidNamespace: true,
    seconds: machine === HERE ? 300 : 5400,
  };
}

/** What `runner.h` prints. */
function readLines(result: CommandResult, way: Way): Map<string, string> {
  const found = new Map<string, string>();
  if (process.env.UPORT_CONFORMANCE_TIMES) console.log(slowest(result));
  for (const line of result.stdout.toString('latin1').split('\n')) {
    const [, verdict, name, seen] =
      /^(pass|fail) ((?:app: |process 1: )?[^:]+)(?:: (.*))?$/.exec(line) ?? [];
    if (verdict && name) found.set(name, verdict === 'pass' ? '' : (seen ?? 'nothing'));
  }
  if (found.size === 0 || result.status !== 0) {
    throw new Error(
      `${way}: ended with ${result.status} after ${found.size} behaviours\n${result.stderr.toString('latin1').slice(-4000)}`,
    );
  }
  return found;
}

/** What took longest, for who wants to make it faster. */
function slowest({ stdout }: CommandResult): string {
  return [...stdout.toString('latin1').matchAll(/^took (\d+) ms: (.*)$/gm)]
    .sort((a, b) => Number(b[1]) - Number(a[1]))
    .slice(0, 40)
    .map(([, time, name]) => `${time} ms ${name}`)
    .join('\n');
}
