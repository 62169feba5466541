import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashStream } from './hash.ts';
import { diskNarNode } from './nar-sources.ts';
import { writeNar } from './nar-writer.ts';
import {
  fixedOutputStorePath,
  isStoreName,
  parseStorePath,
  textStorePath,
  toStoreName,
} from './store-path.ts';
import { nixMissing, runNix } from './testing/nix-command.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'store-path-'));
});
afterEach(() => {
  // Nix makes its store read-only.
  fs.chmodSync(folder, 0o755);
  fs.rmSync(folder, { recursive: true, force: true });
});

const store = (...args: string[]) => runNix(folder, 'nix-store', args).toString().trim();
const evaluate = (expression: string) =>
  JSON.parse(
    runNix(folder, 'nix-instantiate', [
      '--eval',
      '--json',
      '--strict',
      '-E',
      expression,
    ]).toString(),
  );

test.skipIf(nixMissing)(
  'files and folders come where nix-store --add and --add-fixed put them (apt-get install nix-bin)',
  async () => {
    const tree = path.join(folder, 'my-app_1.0+b');
    const file = path.join(tree, 'bin');
    fs.mkdirSync(tree);
    fs.writeFileSync(file, 'program');
    fs.chmodSync(file, 0o755);
    const nar = (algorithm?: 'sha1' | 'sha512') => async (place: string) =>
      (await hashStream(writeNar(await diskNarNode(place)), algorithm)).hash;
    const sha256 = await nar()(tree);
    const name = 'my-app_1.0+b';
    const recursive = fixedOutputStorePath({ name, method: 'recursive', hash: sha256 });
    expect(recursive).toBe(store('--add', tree));
    expect(recursive).toBe(store('--add-fixed', '--recursive', 'sha256', tree));
    for (const algorithm of ['sha1', 'sha512'] as const) {
      const hash = await nar(algorithm)(tree);
      expect(fixedOutputStorePath({ name, method: 'recursive', hash })).toBe(
        store('--add-fixed', '--recursive', algorithm, tree),
      );
    }
    for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512'] as const) {
      const { hash } = await hashStream([fs.readFileSync(file)], algorithm);
      expect(fixedOutputStorePath({ name: 'bin', method: 'flat', hash })).toBe(
        store('--add-fixed', algorithm, file),
      );
    }
    const elsewhere = `local?root=${folder}/2&store=/other/store`;
    expect(
      fixedOutputStorePath(
        { name, method: 'recursive', hash: sha256 },
        { storeDir: '/other/store' },
      ),
    ).toBe(store('--store', elsewhere, '--add', tree));
  },
);

test.skipIf(nixMissing)(
  'texts come where builtins.toFile puts them, with and without references (apt-get install nix-bin)',
  () => {
    const dependency = textStorePath('a.txt', 'one');
    const paths = evaluate(
      `let a = builtins.toFile "a.txt" "one"; in [ a (builtins.toFile "b" "see \${a} and \${a}") ]`,
    );
    expect(paths).toEqual([
      dependency,
      textStorePath('b', `see ${dependency} and ${dependency}`, { references: [dependency] }),
    ]);
  },
);

test.skipIf(nixMissing)(
  'sources with references come where Nix registers them (apt-get install nix-bin)',
  async () => {
    const dependency = store('--add', import.meta.filename);
    const tree = path.join(folder, 'tree');
    fs.mkdirSync(tree);
    fs.writeFileSync(path.join(tree, 'f'), `see ${dependency}`);
    // The path of an input-addressed object made content-addressed says its references.
    const output = runNix(folder, 'nix', [
      'store',
      'make-content-addressed',
      '--json',
      store('--add', tree),
    ]);
    const rewritten = Object.values(JSON.parse(output.toString()).rewrites)[0];
    const { hash } = await hashStream(writeNar(await diskNarNode(tree)));
    expect(fixedOutputStorePath({ name: 'tree', method: 'recursive', hash })).toBe(rewritten);
  },
);

test('only a recursive sha256 object may refer to others', () => {
  const hash = { algorithm: 'sha1', bytes: new Uint8Array(20) } as const;
  expect(() =>
    fixedOutputStorePath({ name: 'n', method: 'recursive', hash }, { self: true }),
  ).toThrow(expect.objectContaining({ code: 'UPORT_NIX_REFERENCES_UNSUPPORTED' }));
});

test('names are checked, and can be made from any text', () => {
  for (const name of ['', '.hidden', 'a b', 'a/b', 'é', 'n'.repeat(212)]) {
    expect(() => textStorePath(name, '')).toThrow(
      expect.objectContaining({ code: 'UPORT_NIX_NAME_INVALID' }),
    );
    expect(isStoreName(toStoreName(name))).toBe(true);
  }
  expect(toStoreName('..Café  (2) 1.0')).toBe('Caf-2-1.0');
});

test('store paths are taken apart', () => {
  const text = textStorePath('a-b.txt', 'one');
  expect(parseStorePath(text)).toEqual({
    storeDir: '/nix/store',
    hash: text.slice(11, 43),
    name: 'a-b.txt',
  });
  for (const bad of [
    '',
    '/nix/store',
    `${text}/bin`,
    text.slice(1, -8),
    text.replace(/-/, '_'),
    text.replace(/store\/./, 'store/e'),
  ]) {
    expect(() => parseStorePath(bad)).toThrow(
      expect.objectContaining({ code: 'UPORT_NIX_STORE_PATH_INVALID' }),
    );
  }
});
