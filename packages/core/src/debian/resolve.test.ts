import { expect, test } from 'vitest';
import { resolvePackages } from './resolve.ts';
import { universeOfText } from './whole-index.ts';

/** `name version: Field: value; …` as an index. */
function universe(...packages: readonly string[]) {
  const stanzas = packages.map((each) => {
    const [, name, version, fields] = /^(\S+) (\S+?):? ?((?:[A-Z].*)?)$/.exec(
      each,
    ) as unknown as string[];
    const lines = (fields ?? '').split('; ').filter((line) => line);
    const fixed = [`Filename: pool/${name}_${version}.deb`, 'Size: 1', `SHA256: ${'0'.repeat(64)}`];
    return [
      `Package: ${name}`,
      `Version: ${version}`,
      'Architecture: amd64',
      ...lines,
      ...fixed,
    ].join('\n');
  });
  return universeOfText('amd64', `${stanzas.join('\n\n')}\n`);
}

const names = (from: ReturnType<typeof universe>, ...wanted: string[]) =>
  resolvePackages(from, { wanted }).map(({ name, version }) => `${name} ${version}`);

test('dependencies are followed, the newest version taken', () => {
  const all = universe(
    'a 1: Depends: b (>= 2), c',
    'b 1',
    'b 2',
    'b 3',
    'c 1: Pre-Depends: d',
    'd 1',
    'e 1',
  );
  expect(names(all, 'a')).toEqual(['a 1', 'b 3', 'c 1', 'd 1']);
  expect(names(all, 'b=1')).toEqual(['b 1']);
  expect(names(all, 'b (<< 3)')).toEqual(['b 2']);
});

test('cycles end', () => {
  expect(names(universe('a 1: Depends: b', 'b 1: Depends: a'), 'a')).toEqual(['a 1', 'b 1']);
});

test('of alternatives the first that can be had, unless another is in', () => {
  const all = universe(
    'a 1: Depends: x | y',
    'b 1: Depends: y',
    'x 1',
    'y 1',
    'c 1: Depends: gone | y',
  );
  expect(names(all, 'a')).toEqual(['a 1', 'x 1']);
  expect(names(all, 'a', 'b')).toEqual(['a 1', 'b 1', 'y 1']);
  expect(names(all, 'c')).toEqual(['c 1', 'y 1']);
});

test('provided names, with and without versions', () => {
  const all = universe(
    'a 1: Depends: awk',
    'b 1: Depends: api (>= 2)',
    'gawk 1: Provides: awk; Priority: optional',
    'mawk 1: Provides: awk; Priority: required',
    'old 1: Provides: api',
    'older 1: Provides: api (= 1)',
    'new 1: Provides: api (= 2)',
  );
  expect(names(all, 'a')).toEqual(['a 1', 'mawk 1']);
  expect(names(all, 'a', 'gawk')).toEqual(['a 1', 'gawk 1']);
  expect(names(all, 'b')).toEqual(['b 1', 'new 1']);
});

test('conflicts turn choices round', () => {
  const all = universe(
    'a 1: Depends: x | y, z',
    'x 1: Conflicts: w',
    'y 1',
    'z 1: Depends: p | q',
    'p 1: Depends: w',
    'q 1',
    'w 1',
    'breaker 1: Breaks: y (<< 2)',
  );
  expect(names(all, 'a')).toEqual(['a 1', 'q 1', 'x 1', 'z 1']);
  expect(names(all, 'a', 'w')).toEqual(['a 1', 'p 1', 'w 1', 'y 1', 'z 1']);
  expect(() => names(all, 'y', 'breaker')).toThrow(
    expect.objectContaining({ code: 'UPORT_DEBIAN_UNRESOLVABLE' }),
  );
});

test('what nothing satisfies is named', () => {
  const all = universe('a 1: Depends: b (>= 2)', 'b 1', 'c 1: Depends: d:arm64', 'd 1');
  expect(() => names(all, 'a')).toThrow(/a needs b \(>= 2\), and there is b 1/);
  expect(() => names(all, 'nothing')).toThrow(/the command needs nothing, and there is none/);
  expect(() => names(all, 'c')).toThrow(
    expect.objectContaining({ code: 'UPORT_DEBIAN_UNRESOLVABLE' }),
  );
  expect(() => names(all, '$(x)')).toThrow(
    expect.objectContaining({ code: 'UPORT_DEBIAN_PACKAGE_NAME' }),
  );
});

test('recommendations only where they fit', () => {
  const all = universe(
    'a 1: Recommends: b, c, gone',
    'b 1: Depends: d',
    'd 1',
    'c 1: Conflicts: a',
  );
  const found = resolvePackages(all, { wanted: ['a'], recommends: true });
  expect(found.map(({ name }) => name)).toEqual(['a', 'b', 'd']);
});
