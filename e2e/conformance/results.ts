// What the suite found, kept in `results/<machine>.json`: the table of docs/fidelity.md is made of it.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { SuiteRun } from './run-suite.ts';
import { MACHINES, WAYS, type Way } from './ways.ts';

const FOLDER = path.join(import.meta.dirname, 'results');

/** Of one machine. */
export interface Results {
  /** Such as `7.2`, without what a distribution adds. */
  readonly kernel: string;
  readonly pageSize: number;
  /** Every behaviour that was tried, in the suite's order. */
  readonly behaviours: readonly string[];
  /** Those that failed, by way. A way that was never tried is not there. */
  readonly failures: Readonly<Partial<Record<Way, readonly string[]>>>;
}

export async function readResults(machine: string): Promise<Results | undefined> {
  const file = path.join(FOLDER, `${machine}.json`);
  return existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as Results) : undefined;
}

/** All that there are, by machine. */
export async function readAllResults(): Promise<ReadonlyMap<string, Results>> {
  const all = new Map<string, Results>();
  for (const { name } of MACHINES) {
    const results = await readResults(name);
    if (results) all.set(name, results);
  }
  return all;
}

export function failuresOf(outcomes: ReadonlyMap<string, string>): readonly string[] {
  return [...outcomes].filter(([, seen]) => seen !== '').map(([name]) => name);
}

/**
 * Writes what a run found; ways that it did not try keep what an earlier one found, and so do the other
 * behaviours when it tried `some` only.
 */
export async function writeResults(machine: string, run: SuiteRun, some = false): Promise<void> {
  const before = await readResults(machine);
  const found = some ? [] : [...run.ways.values()].flatMap((each) => [...each.keys()]);
  // Without emulation there is no launcher to be process 1: its behaviours come last.
  const known = (before?.behaviours ?? []).filter((name) => some || name.startsWith('process 1: '));
  const behaviours = [...new Set([...found, ...known])];
  const failures: Partial<Record<Way, readonly string[]>> = {};
  for (const way of WAYS) {
    const outcomes = run.ways.get(way);
    const earlier = before?.failures[way];
    if (outcomes && !some) failures[way] = failuresOf(outcomes);
    else if (outcomes && earlier) {
      const failed = new Set([
        ...earlier.filter((name) => !outcomes.has(name)),
        ...failuresOf(outcomes),
      ]);
      failures[way] = behaviours.filter((name) => failed.has(name));
    } else if (earlier) failures[way] = earlier;
  }
  const results: Results = {
    kernel: /^\d+\.\d+/.exec(run.kernel)?.[0] ?? run.kernel,
    pageSize: run.pageSize,
    behaviours,
    failures,
  };
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path.join(FOLDER, `${machine}.json`), `${JSON.stringify(results, null, 2)}\n`);
}
