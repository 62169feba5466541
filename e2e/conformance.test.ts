import { describe, expect, test } from 'vitest';
import { missingMachine } from './conformance/box.ts';
import {
  fidelityTables,
  idleExplanations,
  unexplained,
  writtenTables,
} from './conformance/fidelity.ts';
import { failuresOf, readAllResults, readResults } from './conformance/results.ts';
import { type Outcomes, runSuite } from './conformance/run-suite.ts';
import { HERE, MACHINES, type Machine, WAY_TITLES, type Way } from './conformance/ways.ts';
import { named, noPrivateBinfmt } from './support/tools.ts';

describe('docs/fidelity.md', () => {
  test('has at least 60 behaviours, and each cell that fails is explained', async () => {
    const all = await readAllResults();
    for (const { behaviours } of all.values()) expect(behaviours.length).toBeGreaterThan(60);
    expect(unexplained(all)).toEqual([]);
    expect(idleExplanations(all)).toEqual([]);
  });

  test('everything passes without emulation', async () => {
    for (const [machine, { failures }] of await readAllResults()) {
      expect([machine, failures.native]).toEqual([machine, []]);
    }
  });

  test('is what the results say', async () => {
    expect(await writtenTables()).toBe(fidelityTables(await readAllResults()));
  });
});

/** Behaviours that fail and are written to pass, or the reverse. */
async function differences(machine: Machine, way: Way, outcomes: Outcomes): Promise<string[]> {
  const written = new Set((await readResults(machine.name))?.failures[way]);
  const failed = new Set(failuresOf(outcomes));
  return [...outcomes.keys()].filter((name) => written.has(name) !== failed.has(name));
}

/** A behaviour that differs is tried again by itself: a busy machine may have been too slow for it. */
async function check(machine: Machine, way: Way, only: readonly string[]): Promise<void> {
  const { ways } = await runSuite(machine, { ways: [way], only });
  const doubtful = await differences(machine, way, ways.get(way) as Outcomes);
  if (doubtful.length === 0) return;
  const again = await runSuite(machine, { ways: [way], only: doubtful });
  const outcomes = again.ways.get(way) as Outcomes;
  const different = await differences(machine, way, outcomes);
  expect(different.map((name) => `${name}: ${outcomes.get(name) || 'passes'}`)).toEqual([]);
}

const EVERYTHING = process.env.UPORT_CONFORMANCE === 'all';

/** Of this machine: together they are the whole suite. */
const SAMPLED: readonly Way[] = ['userns', 'listen', 'follow', 'ptrace', 'binfmt'];

function sampleOf(way: Way, behaviours: readonly string[]): readonly string[] {
  return behaviours.filter((_, index) => index % SAMPLED.length === SAMPLED.indexOf(way));
}

describe('the conformance suite', () => {
  const missing = missingMachine(HERE);
  for (const way of SAMPLED) {
    const lacking = missing ?? (way === 'userns' ? noPrivateBinfmt() : undefined);
    test.skipIf(lacking)(
      named(`a fifth of it here, by ${WAY_TITLES[way]}, finds what is written`, lacking),
      async () => {
        const written = await readResults(HERE.name);
        expect(written?.failures).toHaveProperty(way);
        await check(HERE, way, sampleOf(way, written?.behaviours ?? []));
      },
      300_000,
    );
  }
});

describe.each(MACHINES)("all of it on $name's kernel", (machine) => {
  const missing = EVERYTHING ? missingMachine(machine) : 'UPORT_CONFORMANCE=all runs it';
  test.skipIf(missing).each(machine.ways.map((way) => [WAY_TITLES[way], way] as const))(
    named('%s finds what is written', missing),
    async (_, way) => {
      expect((await readResults(machine.name))?.failures).toHaveProperty(way);
      await check(machine, way, []);
    },
    machine === HERE ? 600_000 : 3_600_000,
  );
});
