import type { Closure, ClosureObject } from '@uport/core/closure';
import { displayBytes } from '@uport/core/model';

const shown = (object: ClosureObject): string => displayBytes(object.root + object.path);

/** One path a line, in load order: what a script wants. */
export function closureList(closure: Closure): readonly string[] {
  return closure.objects.map(shown);
}

/** What needs what; a library that stands further up already is not opened up again. */
export function closureTree(closure: Closure): readonly string[] {
  const [program] = closure.objects;
  if (program === undefined) return [];
  const byPath = new Map(closure.objects.map((object) => [object.path, object]));
  const told = new Set<string>();
  const lines = [shown(program)];
  const { interpreter } = closure;
  if (interpreter) {
    lines.push(
      `  interpreter ${displayBytes(interpreter.path)}${interpreter.found ? '' : '  NOT FOUND'}`,
    );
  }
  const visit = (object: ClosureObject, indent: string): void => {
    for (const { name, path } of object.needed) {
      const library = path === undefined ? undefined : byPath.get(path);
      if (library === undefined) {
        lines.push(`${indent}${displayBytes(name)}  NOT FOUND`);
        continue;
      }
      const again = told.has(library.path);
      const how = again ? '' : `  [${library.foundBy}]`;
      lines.push(`${indent}${displayBytes(name)} => ${shown(library)}${how}`);
      if (again) continue;
      told.add(library.path);
      visit(library, `${indent}  `);
    }
  };
  visit(program, '  ');
  for (const object of closure.objects) {
    if (object !== program && !told.has(object.path) && object.foundBy !== 'interpreter') {
      lines.push(`  ${shown(object)}  [${object.foundBy}]`);
      visit(object, '    ');
    }
  }
  return lines;
}

/** What is wrong: missing libraries and symbol versions. */
export function closureFaults(closure: Closure): readonly string[] {
  const lines: string[] = [];
  for (const { name, neededBy, searched, passedOver, versions } of closure.missing) {
    lines.push(
      `missing: ${displayBytes(name)}, needed by ${neededBy.map(displayBytes).join(', ')}`,
    );
    if (versions.length > 0)
      lines.push(`  with the versions ${versions.map(displayBytes).join(' ')}`);
    for (const { path, reason } of passedOver)
      lines.push(`  ${displayBytes(path)} is not taken: ${reason}`);
    if (searched.length > 0) lines.push(`  searched: ${searched.map(displayBytes).join(' ')}`);
  }
  for (const fault of closure.missingVersions) {
    const newest = fault.newest === undefined ? '' : `; it has up to ${displayBytes(fault.newest)}`;
    lines.push(
      `missing version: ${displayBytes(fault.version)} in ${displayBytes(fault.path)}, needed by ${displayBytes(fault.object)}${fault.weak ? ' (only a warning)' : ''}${newest}`,
    );
    for (const path of fault.alternatives) lines.push(`  ${displayBytes(path)} has it`);
  }
  return lines;
}

const MAX_SHOWN = 3;

/** What the program opens by itself. */
export function runtimeLoadLines(closure: Closure): readonly string[] {
  return closure.runtimeLoads.map(({ kind, name, found, missing, priority }) => {
    const more = found.length > MAX_SHOWN ? ` and ${found.length - MAX_SHOWN} more` : '';
    const places = found.slice(0, MAX_SHOWN).map(displayBytes).join(' ');
    const absent =
      found.length === 0
        ? `not found${missing.length > 0 ? ` (${missing.map(displayBytes).join(' ')})` : ''}`
        : `${places}${more}`;
    return `  ${kind}${priority === undefined ? '' : `, ${priority}`}: ${displayBytes(name)}: ${absent}`;
  });
}
