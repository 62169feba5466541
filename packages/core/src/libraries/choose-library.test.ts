import { expect, test } from 'vitest';
import { chooseLibrary } from './choose-library.ts';

const FOLDERS = ['lib/i386-linux-gnu', 'usr/lib/i386-linux-gnu', 'lib', 'usr/lib'];
const file = (path: string, ...packages: string[]) => ({ path, packages });

test("the loader's own folders go first, other calling conventions are not taken", () => {
  const choice = chooseLibrary(
    'libz.so.1',
    [
      file('usr/lib64/libz.so.1', 'lib64z1'),
      file('usr/lib/i386-linux-gnu/genwqe/libz.so.1', 'libzadc4'),
      file('lib/i386-linux-gnu/libz.so.1', 'zlib1g'),
    ],
    FOLDERS,
  );
  expect(choice).toEqual({ path: 'lib/i386-linux-gnu/libz.so.1', package: 'zlib1g' });
  expect(
    chooseLibrary('libz.so.1', [file('usr/lib64/libz.so.1', 'lib64z1')], FOLDERS),
  ).toBeUndefined();
});

test('of alternatives the package that is named after the library', () => {
  const below = (name: string) => `usr/lib/i386-linux-gnu/${name}/libblas.so.3`;
  const candidates = [
    file(below('atlas'), 'libatlas3-base'),
    file(below('openblas'), 'libopenblas0-pthread'),
    file(below('blas'), 'libblas3'),
  ];
  expect(chooseLibrary('libblas.so.3', candidates, FOLDERS)?.package).toBe('libblas3');
  const t64 = [file('usr/lib/i386-linux-gnu/libssl.so.3', 'aaa', 'libssl3t64')];
  expect(chooseLibrary('libssl.so.3', t64, FOLDERS)?.package).toBe('libssl3t64');
});
