import { expect, test } from 'vitest';
import { parseProvides, parseRelations, versionFits } from './relations.ts';

test('relationship fields as Debian writes them', () => {
  expect(
    parseRelations('libc6 (>= 2.41), awk | mawk:any (<< 2), perl:any,, x (= 1:2~rc1-1)'),
  ).toEqual([
    [{ name: 'libc6', qualifier: undefined, operator: '>=', version: '2.41' }],
    [
      { name: 'awk', qualifier: undefined, operator: undefined, version: undefined },
      { name: 'mawk', qualifier: 'any', operator: '<<', version: '2' },
    ],
    [{ name: 'perl', qualifier: 'any', operator: undefined, version: undefined }],
    [{ name: 'x', qualifier: undefined, operator: '=', version: '1:2~rc1-1' }],
  ]);
  expect(parseRelations('a (> 1) [amd64] <!nocheck>')[0]).toMatchObject([{ operator: '>=' }]);
  expect(parseRelations('!!!, (>= 1), a (>= )')).toEqual([]);
  expect(parseProvides('a, b (= 2), c (>= 3)')).toEqual([
    { name: 'a', version: undefined },
    { name: 'b', version: '2' },
    { name: 'c', version: undefined },
  ]);
});

test('versions against what is asked', () => {
  const [[relation]] = parseRelations('a (>= 1.0~rc1)') as [[Parameters<typeof versionFits>[0]]];
  expect(['1.0', '1.0~rc1', '1.0~rc0', '0.9'].map((each) => versionFits(relation, each))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
