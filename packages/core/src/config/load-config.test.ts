import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { appOptions } from './app-options.ts';
import { findConfig, loadConfig } from './load-config.ts';
import { configJsonSchema } from './schema.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'load-config-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const APP = { input: './app', hosts: ['arm64'], emit: ['oci', 'nix'] };

test.each([
  ['ts', `interface A { input: string }\nexport default ${JSON.stringify(APP)} satisfies A;\n`],
  ['mts', `const app: object = ${JSON.stringify(APP)};\nexport default app;\n`],
  ['mjs', `export default ${JSON.stringify(APP)};\n`],
  ['json', JSON.stringify({ $schema: './schema.json', ...APP })],
  ['yaml', 'input: ./app\nhosts: [arm64]\nemit:\n  - oci\n  - nix\n'],
])('is read from %s', async (extension, text) => {
  const file = write(`uport.config.${extension}`, text);
  expect(await findConfig(folder)).toBe(file);
  const loaded = await loadConfig(file);
  expect(loaded).toEqual({ file, folder, apps: [{ name: undefined, config: APP }] });
});

test('several apps keep their names and their order', async () => {
  const file = write(
    'uport.config.yaml',
    'apps:\n  two: {input: b, emit: {oci: true, universal: {perHost: true}}}\n  one: {input: a}\n',
  );
  const { apps } = await loadConfig(file);
  expect(apps.map(({ name }) => name)).toEqual(['two', 'one']);
});

test('relative paths count from the configuration’s folder, others stay', () => {
  const options = appOptions(
    {
      input: 'app',
      slices: { amd64: 'native/app' },
      guest: { preload: ['fix.so'], lib: ['/lib/a.so'], env: { A: 'b=c' } },
      image: { env: { X: '1' }, cmd: 'run' },
      entrypoint: 'bin/app',
    },
    '/project',
  );
  expect(options).toMatchObject({
    input: '/project/app',
    entrypoint: ['bin/app'],
    guest: { preload: ['/project/fix.so'], libraries: ['/lib/a.so'], env: ['A=b=c'] },
    image: { env: ['X=1'], cmd: ['run'] },
  });
  expect([...(options.slices?.values() ?? [])]).toEqual(['/project/native/app']);
  expect(options.emit.map(({ emitter }) => emitter)).toEqual(['oci']);
  expect(appOptions({ input: 'nix-export:x' }, '/project').input).toBe('nix-export:x');
});

test('a Nix store is a folder or an address', () => {
  const nix = { store: 'stores/a', references: 'rewrite', storePrefix: '/opt/a' } as const;
  expect(appOptions({ input: 'a', nix }, '/project').nix).toEqual({
    ...nix,
    store: '/project/stores/a',
  });
  const cached = { store: 'file:///cache', trustedKeys: ['a:b'] };
  expect(appOptions({ input: 'a', nix: cached }, '/project').nix).toEqual(cached);
  expect(appOptions({ input: 'a' }, '/project')).not.toHaveProperty('nix');
  const emulators = ['dir:a', 'nix:./result', 'nix:file:///cache#/nix/store/x', 'nix', 'debian'];
  const { providers } = appOptions({ input: 'a', emulators }, '/project');
  expect(providers?.map(({ name }) => name)).toEqual([
    ...['dir:/project/a', 'nix:/project/result', 'nix:file:///cache#/nix/store/x', 'nix'],
    'debian',
  ]);
});

test.each([
  ['a name that there is not', 'json', '{"input":"a","inptu":1}', /inptu/],
  ['a wrong kind of value', 'yaml', 'input: 1\n', /input: .*string/],
  [
    'a fault deep in an app',
    'yaml',
    'apps: {x: {input: a, image: {labels: 1}}}\n',
    /apps.x.image.labels/,
  ],
  ['an emitter that there is not', 'json', '{"input":"a","emit":["zip"]}', /emit/],
  ['no app', 'json', '{"apps":{}}', /no app/],
  ['a Nix store without references', 'json', '{"input":"a","nix":{"references":1}}', /references/],
  ['a list', 'json', '[]', /input: /],
  ['broken JSON', 'json', '{', /JSON/],
  ['broken YAML', 'yaml', 'a: [', /line 1/],
  [
    'a YAML bomb',
    'yaml',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((n, i) => `${n}: &${n} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)
      .join('\n')}\n`,
    /./,
  ],
  ['no default export', 'mjs', 'export const a = 1;\n', /default export/],
  ['code that throws', 'mjs', 'throw new Error("no luck");\n', /no luck/],
])('refused: %s', async (_what, extension, text, message) => {
  const file = write(`uport.config.${extension}`, text);
  await expect(loadConfig(file)).rejects.toMatchObject({
    message: expect.stringMatching(message),
  });
});

test('two configurations in one folder are refused', async () => {
  write('uport.config.json', '{}');
  write('uport.config.ts', '');
  await expect(findConfig(folder)).rejects.toMatchObject({ code: 'UPORT_CONFIG_AMBIGUOUS' });
});

test('the schema for editors describes both forms', () => {
  const text = JSON.stringify(configJsonSchema());
  for (const word of ['"apps"', '"entrypoint"', '"perHost"', 'draft-07'])
    expect(text).toContain(word);
});
