// Which packages are needed so that some can be installed: dependencies followed, alternatives
// chosen, conflicts kept apart. Pure; the same universe and wishes give the same answer.
import { UportError } from '@uport/errors';
import { parseRelations, type Relation, relationText, versionFits } from './relations.ts';
import type { PackageUniverse, ResolvablePackage } from './whole-index.ts';

export interface ResolveOptions {
  /** Packages that must be in: `name`, `name (>= 1)`, `name=version`, or alternatives with `|`. */
  readonly wanted: readonly string[];
  /** Packages that are in whatever others say. */
  readonly seeds?: readonly ResolvablePackage[];
  /** Also what packages recommend, where it can be had. */
  readonly recommends?: boolean;
}

/** How many choices are tried before a set of wishes counts as impossible. */
const CHOICES_MAX = 20_000;

interface Group {
  readonly alternatives: readonly Relation[];
  /** Who asks for it. */
  readonly by: string;
}

type Selection = Map<string, ResolvablePackage>;

/**
 * The packages to install, sorted by name. Among alternatives the first that can be had wins, unless
 * another is in already; among packages that provide a name, the one of the highest priority.
 *
 * @throws UportError UPORT_DEBIAN_UNRESOLVABLE, naming the relation that nothing satisfies
 */
export function resolvePackages(
  universe: PackageUniverse,
  options: ResolveOptions,
): readonly ResolvablePackage[] {
  const resolver = new Resolver(universe, options.recommends ?? false);
  const groups = options.wanted.map((text): Group => {
    const [alternatives, ...more] = parseRelations(text.replace(/^([^\s=()]+)=(.+)$/, '$1 (= $2)'));
    if (alternatives && more.length === 0 && text.trim() !== '')
      return { alternatives, by: 'the command' };
    throw new UportError({
      code: 'UPORT_DEBIAN_PACKAGE_NAME',
      category: 'usage',
      message: `${JSON.stringify(text)} names no package`,
      hint: 'write a name such as bash, or bash=5.2-1',
    });
  });
  const selection: Selection = new Map();
  const todo: Group[] = [];
  for (const seed of options.seeds ?? []) {
    selection.set(seed.name, seed);
    todo.push(...resolver.needsOf(seed));
  }
  const found = resolver.solve(selection, [...todo, ...groups]);
  if (!found) throw resolver.failure();
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

class Resolver {
  readonly #universe: PackageUniverse;
  readonly #recommends: boolean;
  #choices = 0;
  #fault: string | undefined;

  constructor(universe: PackageUniverse, recommends: boolean) {
    this.#universe = universe;
    this.#recommends = recommends;
  }

  needsOf(one: ResolvablePackage): Group[] {
    return one.needs.map((alternatives) => ({ alternatives, by: one.name }));
  }

  failure(): UportError {
    return new UportError({
      code: 'UPORT_DEBIAN_UNRESOLVABLE',
      category: 'input',
      message: `the packages cannot be installed together: ${this.#fault ?? 'too many choices'}`,
      hint: 'name other packages, or another suite that has them',
    });
  }

  /**
   * Groups with one candidate are forced and come first; then the first open choice is tried, one
   * candidate after another.
   */
  solve(selection: Selection, groups: readonly Group[]): Selection | undefined {
    let open = [...groups];
    for (;;) {
      const choices: {
        readonly group: Group;
        readonly candidates: readonly ResolvablePackage[];
      }[] = [];
      const added: Group[] = [];
      let forced = false;
      for (const group of open) {
        if (this.#isSatisfied(group, selection)) continue;
        const candidates = this.#candidates(group, selection);
        const [only] = candidates;
        if (only === undefined) {
          this.#fault ??= this.#reason(group, selection);
          return undefined;
        }
        if (candidates.length === 1) {
          added.push(...this.#add(only, selection));
          forced = true;
        } else choices.push({ group, candidates });
      }
      if (forced) {
        open = [...choices.map(({ group }) => group), ...added];
        continue;
      }
      const [choice, ...others] = choices;
      if (choice === undefined)
        return this.#recommends ? this.#withRecommends(selection) : selection;
      for (const candidate of choice.candidates) {
        if (++this.#choices > CHOICES_MAX) return undefined;
        const next = new Map(selection);
        const needs = this.#add(candidate, next);
        const solved = this.solve(next, [...needs, ...others.map(({ group }) => group)]);
        if (solved) return solved;
      }
      return undefined;
    }
  }

  /** Each recommendation that fits with all the rest. */
  #withRecommends(selection: Selection): Selection {
    let current = selection;
    const seen = new Set<string>();
    for (let todo = [...current.values()]; todo.length > 0; ) {
      const next: ResolvablePackage[] = [];
      for (const one of todo) {
        seen.add(one.name);
        for (const alternatives of one.recommends) {
          const group = { alternatives, by: one.name };
          if (this.#isSatisfied(group, current)) continue;
          const plain = new Resolver(this.#universe, false);
          const solved = plain.solve(new Map(current), [group]);
          if (solved) current = solved;
        }
      }
      for (const each of current.values()) if (!seen.has(each.name)) next.push(each);
      todo = next;
    }
    return current;
  }

  #add(one: ResolvablePackage, selection: Selection): Group[] {
    selection.set(one.name, one);
    return this.needsOf(one);
  }

  #isSatisfied({ alternatives }: Group, selection: Selection): boolean {
    return alternatives.some((relation) => {
      if (!this.#isOfArchitecture(relation)) return false;
      const own = selection.get(relation.name);
      if (own && versionFits(relation, own.version)) return true;
      for (const each of selection.values()) if (provides(each, relation)) return true;
      return false;
    });
  }

  /** In the order to try them. */
  #candidates({ alternatives }: Group, selection: Selection): readonly ResolvablePackage[] {
    const found: ResolvablePackage[] = [];
    const add = (each: ResolvablePackage): void => {
      if (found.some(({ name, version }) => name === each.name && version === each.version)) return;
      if (selection.has(each.name) || conflictOf(each, selection)) return;
      found.push(each);
    };
    for (const relation of alternatives) {
      if (!this.#isOfArchitecture(relation)) continue;
      const [named] = this.#universe
        .named(relation.name)
        .filter((each) => versionFits(relation, each.version));
      if (named) add(named);
      const providers = this.#universe
        .providing(relation.name)
        .filter((each) => each.name !== relation.name && provides(each, relation));
      for (const each of [...providers].sort(byRank)) add(each);
    }
    return found;
  }

  #isOfArchitecture({ qualifier }: Relation): boolean {
    return (
      qualifier === undefined ||
      qualifier === 'any' ||
      qualifier === 'native' ||
      qualifier === this.#universe.architecture
    );
  }

  #reason({ alternatives, by }: Group, selection: Selection): string {
    const text = alternatives.map(relationText).join(' | ');
    const clashes = alternatives.flatMap((relation) =>
      this.#universe.named(relation.name).flatMap((each) => {
        const other = selection.has(each.name) ? undefined : conflictOf(each, selection);
        return other ? [`${each.name} conflicts with ${other}`] : [];
      }),
    );
    const known = alternatives.flatMap(({ name }) =>
      this.#universe.named(name).map((each) => `${each.name} ${each.version}`),
    );
    const why =
      clashes.length > 0
        ? clashes.join('; ')
        : known.length > 0
          ? `there is ${known.join(', ')}`
          : 'there is none';
    return `${by} needs ${text}, and ${why}`;
  }
}

function provides(one: ResolvablePackage, relation: Relation): boolean {
  return one.provides.some(
    ({ name, version }) =>
      name === relation.name &&
      // A name without a version satisfies no wish for one.
      (relation.operator === undefined ||
        (version !== undefined && versionFits(relation, version))),
  );
}

/** The name of a selected package that this one cannot stand beside. */
function conflictOf(one: ResolvablePackage, selection: Selection): string | undefined {
  for (const other of selection.values()) {
    if (other.name !== one.name && (clashes(one, other) || clashes(other, one))) return other.name;
  }
  return undefined;
}

function clashes(one: ResolvablePackage, other: ResolvablePackage): boolean {
  return one.conflicts.some(
    (relation) =>
      (relation.name === other.name && versionFits(relation, other.version)) ||
      provides(other, relation),
  );
}

const RANKS = ['required', 'important', 'standard', 'optional', 'extra'];

function byRank(a: ResolvablePackage, b: ResolvablePackage): number {
  const rank = ({ essential, priority }: ResolvablePackage): number =>
    essential ? -1 : RANKS.includes(priority) ? RANKS.indexOf(priority) : RANKS.length;
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1);
}
