import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clearStore, collectStore, listRunFolders, Store } from '../store/index.ts';
import { runFolder } from './run-folder.ts';

const DAY = 24 * 60 * 60 * 1000;
let base: string;
let store: Store;

beforeEach(async () => {
  base = mkdtempSync(path.join(tmpdir(), 'uport-run-folder-'));
  store = await Store.open(path.join(base, 'store'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** Answers whether the folder was filled now, too. */
async function make(name: string, bytes: number): Promise<{ folder: string; filled: boolean }> {
  let filled = false;
  const folder = await runFolder(store, name, async (temporary) => {
    filled = true;
    await writeFile(path.join(temporary, 'program'), Buffer.alloc(bytes));
    utimesSync(temporary, 0, 0);
  });
  return { folder, filled };
}

function age(folder: string, days: number): void {
  const then = new Date(Date.now() - days * DAY);
  utimesSync(folder, then, then);
}

describe('run folders', () => {
  test('are filled once and listed with their size', async () => {
    expect((await make('tool', 1000)).filled).toBe(true);
    expect((await make('tool', 1000)).filled).toBe(false);
    const [listed, ...others] = await listRunFolders(store);
    expect(listed).toMatchObject({ name: 'tool', size: 1000 });
    // What fills a folder may give it times of its own: they are not those of its use.
    expect(Date.now() - Number(listed?.lastUsed)).toBeLessThan(DAY);
    expect(others).toEqual([]);
  });

  test('go when nobody used them, and stay when somebody did', async () => {
    const old = await make('old', 3000);
    const used = await make('used', 10);
    age(old.folder, 31);
    age(used.folder, 31);
    expect((await make('used', 10)).filled).toBe(false);
    expect(await collectStore(store)).toMatchObject({ runFolders: 1, bytes: 3000 });
    expect(existsSync(old.folder)).toBe(false);
    expect(existsSync(used.folder)).toBe(true);
    expect((await make('old', 3000)).filled).toBe(true);
  });

  test('go with everything else when the store is cleared', async () => {
    await make('a', 1);
    await make('b', 2);
    expect(await clearStore(store)).toMatchObject({ runFolders: 2, bytes: 3 });
    expect(await listRunFolders(store)).toEqual([]);
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });
});
