// Runs the suite on machines and writes what it finds and the table made of it:
//   node e2e/conformance/record.ts [--ways=binfmt,ptrace] [--only=NAME] [MACHINE...]
// With --only nothing is written.
import { writeFidelity } from './fidelity.ts';
import { writeResults } from './results.ts';
import { runSuite } from './run-suite.ts';
import { MACHINES, type Way } from './ways.ts';

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const option = (name: string) =>
  process.argv.flatMap((argument) =>
    argument.startsWith(`--${name}=`) ? [argument.slice(name.length + 3)] : [],
  );
const ways = option('ways').flatMap((list) => list.split(',')) as Way[];
const only = option('only');

for (const machine of MACHINES) {
  if (named.length > 0 && !named.includes(machine.name)) continue;
  const run = await runSuite(machine, {
    ...(ways.length > 0 && { ways }),
    ...(only.length > 0 && { only }),
  });
  for (const [way, found] of run.ways) {
    const bad = [...found].filter(([, seen]) => seen !== '');
    console.log(`${machine.name}, ${way}: ${found.size - bad.length} of ${found.size} pass`);
    for (const [behaviour, seen] of bad) console.log(`  ${behaviour}: ${seen.slice(0, 200)}`);
  }
  if (only.length === 0) await writeResults(machine.name, run);
}
if (only.length === 0) await writeFidelity();
