// Runs the suite on machines and writes what it finds and the table made of it:
//   node e2e/conformance/record.ts [--ways=binfmt,ptrace] [--only=NAME] [MACHINE...]
// With --only the others keep what was found before; a way that was never recorded stays so.
import { explanationOf, writeFidelity } from './fidelity.ts';
import { failuresOf, writeResults } from './results.ts';
import { runSuite } from './run-suite.ts';
import { MACHINES, type Machine, type Way } from './ways.ts';

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const option = (name: string) =>
  process.argv.flatMap((argument) =>
    argument.startsWith(`--${name}=`) ? [argument.slice(name.length + 3)] : [],
  );
const ways = option('ways').flatMap((list) => list.split(',')) as Way[];
const only = option('only');

for (const machine of MACHINES) {
  if (named.length > 0 && !named.includes(machine.name)) continue;
  // A start for each way: a simulated machine needs minutes for one, and what it found is kept.
  for (const way of machine.ways) {
    if (ways.length > 0 && !ways.includes(way)) continue;
    await record(machine, way).catch((error: unknown) => {
      console.log(`${machine.name}, ${way}: ${error}`);
      process.exitCode = 1;
    });
  }
}

async function record(machine: Machine, way: Way): Promise<void> {
  const started = Date.now();
  const run = await runSuite(machine, { ways: [way], ...(only.length > 0 && { only }) });
  const found = new Map(run.ways.get(way));
  const surprises = failuresOf(found).filter((name) => !explanationOf(name, way, machine.name));
  if (only.length === 0 && surprises.length > 0) {
    // A busy machine may have been too slow for them.
    const again = await runSuite(machine, { ways: [way], only: surprises });
    for (const [name, seen] of again.ways.get(way) ?? []) found.set(name, seen);
  }
  const bad = [...found].filter(([, seen]) => seen !== '');
  const minutes = Math.round((Date.now() - started) / 60_000);
  console.log(
    `${machine.name}, ${way}: ${found.size - bad.length} of ${found.size} pass (${minutes} min)`,
  );
  for (const [behaviour, seen] of bad) {
    const known = explanationOf(behaviour, way, machine.name) ? '' : 'NOT EXPLAINED ';
    console.log(`  ${known}${behaviour}: ${seen.slice(0, 200)}`);
  }
  await writeResults(machine.name, { ...run, ways: new Map([[way, found]]) }, only.length > 0);
  await writeFidelity();
}
