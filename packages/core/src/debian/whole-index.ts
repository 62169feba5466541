// A suite's whole package index in memory, for those who follow dependencies through it.
import { UportError } from '@uport/errors';
import { fetchRelease, mirrorsOf } from './archive.ts';
import type { DebianContext } from './context.ts';
import { type Paragraph, parseParagraph } from './deb822.ts';
import type { Mirror } from './mirror.ts';
import { asFailedTry, type FailedTry, unavailable } from './package.ts';
import { type IndexedPackage, readIndexed, wholeIndexText } from './packages-index.ts';
import { type Provided, parseProvides, parseRelations, type Relation } from './relations.ts';
import { compareDebianVersions } from './version.ts';

/** A package with what it says of others. */
export interface ResolvablePackage extends IndexedPackage {
  readonly suite: string;
  readonly mirror: Mirror;
  readonly essential: boolean;
  readonly priority: string;
  readonly multiArch: string;
  /** Pre-Depends and Depends. */
  readonly needs: readonly (readonly Relation[])[];
  readonly recommends: readonly (readonly Relation[])[];
  /** Conflicts and Breaks. */
  readonly conflicts: readonly Relation[];
  readonly provides: readonly Provided[];
}

/** The stanzas of one index: found by name, read when asked for. */
class IndexText {
  readonly #text: string;
  readonly #suite: string;
  readonly #mirror: Mirror;
  readonly #read = new Map<number, ResolvablePackage | undefined>();
  readonly names = new Map<string, number[]>();
  /** Stanzas that provide a name, whatever the version. */
  readonly providers = new Map<string, number[]>();
  readonly marked: number[] = [];

  constructor(text: string, suite: string, mirror: Mirror) {
    this.#text = text;
    this.#suite = suite;
    this.#mirror = mirror;
    this.#scan();
  }

  #scan(): void {
    const text = this.#text;
    for (let start = 0; start < text.length; ) {
      const gap = text.indexOf('\n\n', start);
      const end = gap === -1 ? text.length : gap;
      if (text.startsWith('Package:', start)) {
        const line = text.indexOf('\n', start);
        const name = text.slice(start + 8, line === -1 ? end : Math.min(line, end)).trim();
        push(this.names, name, start);
      }
      start = end + 2;
    }
    for (const at of allOf(text, '\nProvides:')) {
      const end = text.indexOf('\n', at + 1);
      const field = text.slice(at + '\nProvides:'.length, end === -1 ? text.length : end);
      const start = this.#startOf(at);
      for (const { name } of parseProvides(field)) push(this.providers, name, start);
    }
    for (const field of [
      '\nEssential: yes',
      '\nPriority: required',
      '\nPriority: important',
      '\nPriority: standard',
    ]) {
      for (const at of allOf(text, field)) this.marked.push(this.#startOf(at));
    }
  }

  #startOf(at: number): number {
    const gap = this.#text.lastIndexOf('\n\n', at);
    return gap === -1 ? 0 : gap + 2;
  }

  at(start: number): ResolvablePackage | undefined {
    if (this.#read.has(start)) return this.#read.get(start);
    const gap = this.#text.indexOf('\n\n', start);
    const fields = parseParagraph(this.#text.slice(start, gap === -1 ? undefined : gap));
    const indexed = readIndexed(fields);
    const found = indexed && withRelations(indexed, fields, this.#suite, this.#mirror);
    this.#read.set(start, found);
    return found;
  }
}

function withRelations(
  indexed: IndexedPackage,
  fields: Paragraph,
  suite: string,
  mirror: Mirror,
): ResolvablePackage {
  const relations = (name: string) =>
    parseRelations((fields.get(name) ?? '').replaceAll('\n', ' '));
  return {
    ...indexed,
    suite,
    mirror,
    essential: fields.get('essential') === 'yes',
    priority: fields.get('priority') ?? 'optional',
    multiArch: fields.get('multi-arch') ?? 'no',
    needs: [...relations('pre-depends'), ...relations('depends')],
    recommends: relations('recommends'),
    conflicts: [...relations('conflicts'), ...relations('breaks')].flat(),
    provides: parseProvides((fields.get('provides') ?? '').replaceAll('\n', ' ')),
  };
}

function push(map: Map<string, number[]>, key: string, value: number): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function* allOf(text: string, what: string): Generator<number> {
  for (let at = text.indexOf(what); at !== -1; at = text.indexOf(what, at + 1)) yield at;
}

/** The packages of one architecture in some suites together. */
export class PackageUniverse {
  readonly architecture: string;
  readonly #indexes: readonly IndexText[];

  constructor(architecture: string, indexes: readonly IndexText[]) {
    this.architecture = architecture;
    this.#indexes = indexes;
  }

  /** Of that name, the newest first. */
  named(name: string): readonly ResolvablePackage[] {
    return this.#all((index) => index.names.get(name) ?? []).sort((a, b) =>
      compareDebianVersions(b.version, a.version),
    );
  }

  /** Those that provide a name and are the newest of their own, by name. */
  providing(name: string): readonly ResolvablePackage[] {
    return this.#newest(this.#all((index) => index.providers.get(name) ?? []));
  }

  /** Essential packages, and those with a priority of `required`, `important` or `standard`; by name. */
  marked(): readonly ResolvablePackage[] {
    return this.#newest(this.#all((index) => index.marked));
  }

  #all(starts: (index: IndexText) => readonly number[]): ResolvablePackage[] {
    return this.#indexes.flatMap((index) =>
      starts(index)
        .map((start) => index.at(start))
        .filter((each) => each !== undefined),
    );
  }

  #newest(packages: readonly ResolvablePackage[]): readonly ResolvablePackage[] {
    const unique = [
      ...new Map(packages.map((each) => [`${each.name} ${each.version}`, each])).values(),
    ];
    return unique
      .filter((each) => this.named(each.name)[0]?.version === each.version)
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

/**
 * Reads the indexes of suites, each from the first mirror that has it.
 *
 * @param components such as `main`
 * @throws UportError UPORT_DEBIAN_UNAVAILABLE, UPORT_DEBIAN_SUITE_MISSING, UPORT_DEBIAN_NO_ARCHITECTURE
 */
export async function readUniverse(
  suites: readonly string[],
  architecture: string,
  components: readonly string[],
  context: DebianContext,
): Promise<PackageUniverse> {
  const indexes: IndexText[] = [];
  for (const suite of suites) {
    const failed: FailedTry[] = [];
    let found = false;
    for (const mirror of await mirrorsOf(context)) {
      try {
        const { architectures } = await fetchRelease(mirror, suite, context);
        if (!architectures.includes(architecture)) {
          throw new UportError({
            code: 'UPORT_DEBIAN_NO_ARCHITECTURE',
            category: 'network',
            message: `${suite} has no packages for ${architecture}; it has ${architectures.join(', ')}`,
            hint: 'name another suite, or a mirror of ports with --debian-mirror',
          });
        }
        for (const component of components) {
          const text = await wholeIndexText(mirror, suite, component, architecture, context);
          if (text !== undefined) indexes.push(new IndexText(text, suite, mirror));
        }
        found = true;
        break;
      } catch (error) {
        failed.push(asFailedTry(error, suite, mirror, context));
      }
    }
    if (!found) throw unavailable(`suite ${suite}`, failed);
  }
  return new PackageUniverse(architecture, indexes);
}

/** The packages of an index that is at hand, such as a made-up one. */
export function universeOfText(architecture: string, text: string): PackageUniverse {
  const nowhere = { url: '', key: '' };
  return new PackageUniverse(architecture, [new IndexText(text, '', nowhere)]);
}
