// docs/fidelity.md: the table of behaviours and ways, made of the results.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { REPOSITORY } from '@uport/testkit';
import { EXPLANATIONS, PLAIN_EMULATION } from './explanations.ts';
import { type Results, readAllResults } from './results.ts';
import { MACHINES, WAY_TITLES, WAYS, type Way } from './ways.ts';

export const FIDELITY = path.join(REPOSITORY, 'docs/fidelity.md');

const BEGIN = '<!-- made by e2e/conformance/record.ts; do not edit from here -->';
const END = '<!-- to here -->';

/** The ways that a table shows. */
const SHOWN = WAYS.filter((way) => way !== 'native');

/** The text of a cell's explanation; undefined when nothing explains it. */
export function explanationOf(behaviour: string, way: Way, machine: string): string | undefined {
  const found = EXPLANATIONS.find(
    ({ behaviours, ways, machines }) =>
      behaviours.includes(behaviour) &&
      (ways?.includes(way) ?? true) &&
      (machines?.includes(machine) ?? true),
  );
  return found?.why ?? (way === 'none' ? PLAIN_EMULATION : undefined);
}

/** Cells that fail and that nothing explains: `machine, way: behaviour`. */
export function unexplained(all: ReadonlyMap<string, Results>): readonly string[] {
  return cells(all)
    .filter(({ behaviour, way, machine }) => !explanationOf(behaviour, way, machine))
    .map(({ behaviour, way, machine }) => `${machine}, ${way}: ${behaviour}`);
}

/** Behaviours of explanations that fail nowhere. */
export function idleExplanations(all: ReadonlyMap<string, Results>): readonly string[] {
  const failing = cells(all);
  return EXPLANATIONS.flatMap(({ why, behaviours }) =>
    behaviours.filter(
      (behaviour) =>
        !failing.some(
          (cell) =>
            cell.behaviour === behaviour &&
            explanationOf(behaviour, cell.way, cell.machine) === why,
        ),
    ),
  );
}

function cells(all: ReadonlyMap<string, Results>) {
  return [...all].flatMap(([machine, { failures }]) =>
    WAYS.flatMap((way) => (failures[way] ?? []).map((behaviour) => ({ behaviour, way, machine }))),
  );
}

/** The generated part of the page. */
export function fidelityTables(all: ReadonlyMap<string, Results>): string {
  const behaviours = [...new Set([...all.values()].flatMap((each) => each.behaviours))];
  const notes: string[] = [];
  const noteOf = (text: string) => {
    if (!notes.includes(text)) notes.push(text);
    return `<sup>${notes.indexOf(text) + 1}</sup>`;
  };
  const cell = (behaviour: string, way: Way) => {
    const tried = [...all].filter(
      ([, each]) => each.failures[way] && each.behaviours.includes(behaviour),
    );
    const failed = tried.filter(([, each]) => each.failures[way]?.includes(behaviour));
    if (tried.length === 0) return '';
    if (failed.length === 0) return '✓';
    const reasons = new Map<string, string[]>();
    for (const [machine] of failed) {
      const why = explanationOf(behaviour, way, machine) ?? 'Not explained.';
      reasons.set(why, [...(reasons.get(why) ?? []), machine]);
    }
    return [...reasons]
      .map(([why, machines]) =>
        machines.length === tried.length
          ? `✗${noteOf(why)}`
          : `✗${noteOf(why)} on ${machines.join(', ')}`,
      )
      .join('; ');
  };
  const rows = behaviours.map(
    (behaviour) => `| ${behaviour} | ${SHOWN.map((way) => cell(behaviour, way)).join(' | ')} |`,
  );
  const counts = [...all].map(([machine, { kernel, pageSize, behaviours: every, failures }]) => {
    const passed = WAYS.map((way) => {
      const failed = failures[way];
      const total = every.filter(
        (each) => way !== 'native' || !each.startsWith('process 1'),
      ).length;
      return failed ? `${total - failed.length} of ${total}` : '';
    });
    const guest = MACHINES.find(({ name }) => name === machine)?.guest;
    return `| ${machine} | ${kernel} | ${pageSize / 1024} KiB | ${guest} | ${passed.join(' | ')} |`;
  });
  return [
    '## Machines',
    '',
    `| host | kernel | pages | guest | ${WAYS.map((way) => WAY_TITLES[way]).join(' | ')} |`,
    `| --- | --- | --- | --- | ${WAYS.map(() => '---').join(' | ')} |`,
    ...counts,
    '',
    '## Behaviours',
    '',
    `| behaviour | ${SHOWN.map((way) => WAY_TITLES[way]).join(' | ')} |`,
    `| --- | ${SHOWN.map(() => '---').join(' | ')} |`,
    ...rows,
    '',
    '## Why',
    '',
    ...notes.map((note, index) => `${index + 1}. ${note}`),
    '',
  ].join('\n');
}

/** Writes the generated part into the page. @throws Error when the page lost its marks */
export async function writeFidelity(): Promise<void> {
  const page = await readFile(FIDELITY, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${FIDELITY} has lost its marks`);
  const tables = fidelityTables(await readAllResults());
  await writeFile(FIDELITY, `${page.slice(0, begin)}${BEGIN}\n\n${tables}\n${page.slice(end)}`);
}

/** What the page has between its marks. */
export async function writtenTables(): Promise<string> {
  const page = await readFile(FIDELITY, 'utf8');
  return page.slice(page.indexOf(BEGIN) + BEGIN.length + 2, page.indexOf(END) - 1);
}
