// What packages say of each other: `Depends: a (>= 1) | b:any, c` (deb-control(5)).
import { compareDebianVersions } from './version.ts';

/** One package name with what is asked of its version. */
export interface Relation {
  readonly name: string;
  /** `any`, or an architecture's name. */
  readonly qualifier: string | undefined;
  readonly operator: '<<' | '<=' | '=' | '>=' | '>>' | undefined;
  readonly version: string | undefined;
}

/** A name that a package stands for, and the version of it, if it says one. */
export interface Provided {
  readonly name: string;
  readonly version: string | undefined;
}

const RELATION =
  /^([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([0-9A-Za-z][^\s()]*)\s*\))?\s*(?:\[[^\]]*\]\s*)?(?:<[^>]*>\s*)*$/;

/** The groups of a relationship field, each a list of alternatives. What fits nothing is left out. */
export function parseRelations(field: string): readonly (readonly Relation[])[] {
  return field
    .split(',')
    .map((group) =>
      group
        .split('|')
        .map((each) => parseRelation(each.trim()))
        .filter((each) => each !== undefined),
    )
    .filter((group) => group.length > 0);
}

function parseRelation(text: string): Relation | undefined {
  const parts = RELATION.exec(text);
  if (!parts) return undefined;
  const [, name, qualifier, operator, version] = parts;
  return {
    name: name as string,
    qualifier,
    // The single signs are old spellings that allow equality.
    operator: (operator === '<'
      ? '<='
      : operator === '>'
        ? '>='
        : operator) as Relation['operator'],
    version,
  };
}

/** `Provides: a, b (= 2)`. */
export function parseProvides(field: string): readonly Provided[] {
  return parseRelations(field).flatMap((group) =>
    group.map(({ name, operator, version }) => ({
      name,
      version: operator === '=' ? version : undefined,
    })),
  );
}

/** Whether a version is what the relation asks for. */
export function versionFits(relation: Relation, version: string): boolean {
  if (relation.operator === undefined || relation.version === undefined) return true;
  const order = compareDebianVersions(version, relation.version);
  switch (relation.operator) {
    case '<<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    case '>=':
      return order >= 0;
    case '>>':
      return order > 0;
  }
}

export function relationText({ name, qualifier, operator, version }: Relation): string {
  const text = qualifier === undefined ? name : `${name}:${qualifier}`;
  return operator === undefined ? text : `${text} (${operator} ${version})`;
}
