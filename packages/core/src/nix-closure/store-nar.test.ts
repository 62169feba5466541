import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import type { NarEntry } from '../nix/nar-reader.ts';
import { Store } from '../store/store.ts';
import { storeNarFiles } from './store-nar.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'store-nar-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an archive of too many entries is refused, one of just as many is read', async () => {
  const context = {
    store: await Store.open(path.join(folder, 'store')),
    task: silentProgress.start('reading'),
    signal: new AbortController().signal,
  };
  async function* links(count: number): AsyncGenerator<NarEntry> {
    for (let left = count; left > 0; left--) yield { type: 'symlink', path: '', target: 'a' };
  }
  expect((await storeNarFiles(links(1_000_000), context)).entries).toHaveLength(1_000_000);
  await expect(storeNarFiles(links(1_000_001), context)).rejects.toMatchObject({
    code: 'UPORT_NAR_TOO_LARGE',
    hint: expect.any(String),
  });
}, 30_000);
