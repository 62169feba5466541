// Says in one line how a run differs from what is expected.
import type { Observed } from './observe.ts';

/** What each host's run must come to. */
export interface Expectation {
  /** Standard output; left out: anything. */
  readonly stdout?: Uint8Array;
  readonly status: number;
}

/** Undefined when the run is as expected. */
export function differenceOf(seen: Observed, expected: Expectation): string | undefined {
  if (seen.timedOut) return 'did not end in its time';
  const cause = causeOf(seen);
  if (seen.status !== expected.status) {
    return `status ${statusText(seen.status)} instead of ${statusText(expected.status)}${cause}`;
  }
  const { stdout } = expected;
  if (stdout === undefined || Buffer.compare(seen.stdout, stdout) === 0) return undefined;
  return `standard output differs at ${placeOf(seen.stdout, stdout)}${cause}`;
}

const SIGNAL_NAMES: Readonly<Record<number, string>> = {
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
};

/** With the signal's name where one ended it. */
export function statusText(status: number): string {
  const name = SIGNAL_NAMES[status - 128];
  return name === undefined ? String(status) : `${status} (${name})`;
}

/** Lines count from 1, bytes of a line from 1. */
function placeOf(seen: Uint8Array, expected: Uint8Array): string {
  let at = 0;
  while (at < seen.length && at < expected.length && seen[at] === expected[at]) at++;
  const before = Buffer.from(expected.subarray(0, at)).toString('latin1');
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  const end =
    at === seen.length ? ', where it ends' : at === expected.length ? ', where it goes on' : '';
  return `line ${line}, byte ${column}${end}`;
}

/** Messages of loaders, emulators and the launcher that name what is missing. */
const CAUSES: readonly RegExp[] = [
  /error while loading shared libraries: ([^\s:]+): cannot open shared object file/,
  /Error loading shared library ([^\s:]+): No such file or directory/,
];

function causeOf({ stderr }: Observed): string {
  const text = stderr.toString('utf8');
  for (const cause of CAUSES) {
    const library = cause.exec(text)?.[1];
    if (library !== undefined) return `: the library ${library} is missing`;
  }
  const loader = /Could not open '([^']+)': No such file or directory/.exec(text)?.[1];
  if (loader !== undefined) return `: its loader ${loader} is missing`;
  const last = text.trim().split('\n').at(-1) ?? '';
  // Control bytes would reach a terminal.
  const shown = last.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 200);
  return shown === '' ? '' : `: ${shown}`;
}
