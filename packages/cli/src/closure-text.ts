import type { DebianLibraries, DebianLibrary } from '@uport/core';
import type { Closure, ClosureObject } from '@uport/core/closure';
import { displayBytes } from '@uport/core/model';

const shown = (object: ClosureObject): string => displayBytes(object.root + object.path);

/** One path a line, in load order: what a script wants. */
export function closureList(closure: Closure): readonly string[] {
  return closure.objects.map(shown);
}

/** What needs what; a library that stands further up already is not opened up again. */
export function closureTree(closure: Closure, debian?: DebianLibraries): readonly string[] {
  const [program] = closure.objects;
  if (program === undefined) return [];
  const byPath = new Map(closure.objects.map((object) => [object.path, object]));
  const told = new Set<string>();
  const packages = new Map(debian?.found.map((each) => [each.soname, each]));
  const inDebian = (soname: string): string => {
    const found = packages.get(soname);
    return found === undefined ? '' : `, in ${found.package} of ${found.suite}`;
  };
  const lines = [shown(program)];
  const { interpreter } = closure;
  if (interpreter) {
    lines.push(
      `  interpreter ${displayBytes(interpreter.path)}${interpreter.found ? '' : `  NOT FOUND${inDebian(interpreter.path.replace(/.*\//s, ''))}`}`,
    );
  }
  const visit = (object: ClosureObject, indent: string): void => {
    for (const { name, path } of object.needed) {
      const library = path === undefined ? undefined : byPath.get(path);
      if (library === undefined) {
        lines.push(`${indent}${displayBytes(name)}  NOT FOUND${inDebian(name)}`);
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

/** The package and the path in it, of what Debian has. */
const packaged = ({ package: name, version, suite, path }: DebianLibrary): string =>
  `${name} ${version} of ${suite}: ${displayBytes(path)}`;

/** What Debian has of what is missing. */
export function debianLines(debian?: DebianLibraries): readonly string[] {
  if (debian === undefined) return [];
  const { found, absent, architecture } = debian;
  const lines = found.map((each) => `  ${displayBytes(each.soname)}: ${packaged(each)}`);
  if (lines.length > 0) lines.unshift(`in Debian for ${architecture}:`);
  if (absent.length > 0) {
    lines.push(`in none of the suites: ${absent.map(displayBytes).join(' ')}`);
  }
  return lines;
}

/** `debian:SUITE/PACKAGE:ARCHITECTURE/PATH`, a line for each library. */
export function debianList(debian?: DebianLibraries): readonly string[] {
  if (debian === undefined) return [];
  return debian.found.map(
    ({ suite, package: name, path }) =>
      `debian:${suite}/${name}:${debian.architecture}/${displayBytes(path)}`,
  );
}

/** What is wrong: missing libraries, without those that Debian has, and symbol versions. */
export function closureFaults(closure: Closure, debian?: DebianLibraries): readonly string[] {
  const lines: string[] = [];
  const had = new Set(debian?.found.map(({ soname }) => soname));
  for (const { name, neededBy, searched, passedOver, versions } of closure.missing) {
    if (had.has(name)) continue;
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
