import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolder } from './make-folder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'make-folder-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('says which folder is new', async () => {
  expect(await makeFolder(path.join(folder, 'a/b/c'))).toBe(path.join(folder, 'a'));
  expect(existsSync(path.join(folder, 'a/b/c'))).toBe(true);
  expect(await makeFolder(path.join(folder, 'a/b'))).toBeUndefined();
});

test('refuses a file in the way, also in the middle', async () => {
  writeFileSync(path.join(folder, 'file'), '');
  for (const name of ['file', 'file/b']) {
    await expect(makeFolder(path.join(folder, name))).rejects.toMatchObject({
      code: expect.stringMatching(/^UPORT_(OUTPUT_IN_THE_WAY|NOT_FOUND)$/),
    });
  }
});

test('ends where nobody can make folders', async () => {
  await expect(makeFolder('/proc/uport/x')).rejects.toMatchObject({
    code: 'UPORT_PERMISSION_DENIED',
  });
});
