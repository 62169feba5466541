import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from './cache-folder.ts';
import { importBreaches, type WorkspacePackage } from './import-rules.ts';

const PACKAGES: readonly WorkspacePackage[] = [
  { name: '@uport/errors', folder: 'packages/errors', entryPoints: ['.'] },
  { name: '@uport/core', folder: 'packages/core', entryPoints: ['.'] },
  { name: 'uport', folder: 'packages/cli', entryPoints: ['./package.json'] },
];

describe('the rules', () => {
  const cases: readonly (readonly [file: string, text: string, breach: RegExp | undefined])[] = [
    ['packages/core/src/a.ts', "import { X } from '@uport/errors';", undefined],
    ['packages/core/src/a.ts', "import '../../errors/src/index.ts';", /reaches out/],
    ['packages/core/src/a.ts', "export * from '@uport/errors/dist/index.js';", /entry point/],
    ['packages/core/src/a.ts', "import { run } from 'uport/package.json';", /may not import/],
    ['packages/errors/src/a.ts', "import type { Plan } from '@uport/core';", /may not import/],
    ['packages/cli/src/a.ts', "const a = await import('@uport/core/src/store.ts');", /entry point/],
    ['packages/cli/src/a.ts', "console.log(process.argv); import '@uport/core';", undefined],
    ['packages/core/src/a.ts', 'console.log(1);', /uses console\.log/],
    ['packages/core/src/a.ts', '/** Like console.log. */', undefined],
    ['packages/core/src/a.ts', 'run(process.argv[1]);', /uses process\.argv/],
    ['packages/core/src/model/a.ts', "import { open } from 'node:fs/promises';", /node:fs/],
    ['packages/core/src/model/a.ts', "import { join } from 'node:path';", undefined],
    ['packages/core/src/plan/a.ts', "import type { E } from '../emitters/emitter.ts';", /emitter/],
    ['packages/core/src/emitters/a/x.ts', "import { b } from '../b/index.ts';", /another emitter/],
    ['packages/core/src/emitters/index.ts', "import { b } from './b/index.ts';", undefined],
    ['examples/sdk/a.ts', "import { b } from '/somewhere/b.ts';", /the path/],
  ];

  test.each(cases)('%s: %s', (file, text, breach) => {
    const found = importBreaches(new Map([[file, text]]), PACKAGES);
    if (breach === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringMatching(breach)]);
  });

  test('input and output behind another file is found', () => {
    const sources = new Map([
      ['packages/core/src/plan/a.ts', "import { b } from '../b.ts';"],
      ['packages/core/src/b.ts', "import 'node:net';"],
    ]);
    expect(importBreaches(sources, PACKAGES)).toEqual([
      'packages/core/src/b.ts: model and plan may not reach node:net',
    ]);
  });
});

describe('the source', () => {
  const sources = new Map<string, string>();
  const packages: WorkspacePackage[] = [];

  beforeAll(async () => {
    const places = ['packages/*/{src,bin}', 'examples/*', 'e2e'];
    for await (const file of glob(
      places.map((place) => `${place}/**/*.{ts,js,mjs}`),
      {
        cwd: REPOSITORY,
        exclude: (name) => name === 'node_modules' || name === 'dist',
      },
    )) {
      sources.set(file, await readFile(path.join(REPOSITORY, file), 'utf8'));
    }
    // This file holds bad examples.
    sources.delete('packages/testkit/src/boundaries.test.ts');
    for await (const folder of glob(['packages/*', 'examples/*', 'e2e'], { cwd: REPOSITORY })) {
      const file = path.join(REPOSITORY, folder, 'package.json');
      if (!existsSync(file)) continue;
      const { name, exports = {} } = JSON.parse(await readFile(file, 'utf8'));
      packages.push({ name, folder, entryPoints: Object.keys(exports) });
    }
  });

  test('was all read', () => {
    expect(packages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['@uport/core', '@uport/elf', '@uport/errors', 'uport']),
    );
    for (const folder of ['model', 'plan', 'emitters/oci', 'store']) {
      const prefix = `packages/core/src/${folder}/`;
      expect([...sources.keys()].some((file) => file.startsWith(prefix))).toBe(true);
    }
    expect([...sources.keys()].filter((file) => /\/(?:node_modules|dist)\//.test(file))).toEqual(
      [],
    );
  });

  test('keeps the rules', () => {
    expect(importBreaches(sources, packages)).toEqual([]);
  });
});
