import { cp, mkdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DEFAULT_HOSTS } from '@uport/core';
import { buildElf } from '@uport/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import type { Index } from './support/layout.ts';
import { readJson } from './support/layout.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { type StartOptions, start, UPORT, uport } from './support/uport.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => removeFolder(folder));

/** The digest of the image's index. */
async function digestOf(outDir: string): Promise<string | undefined> {
  const top = (await readJson(path.join(outDir, 'oci/index.json'))) as Index;
  return top.manifests[0]?.digest;
}

async function build(args: readonly string[], options: StartOptions = {}) {
  const outDir = path.join(folder, crypto.randomUUID());
  expect(await uport(['build', ...args, '-o', outDir], options)).toMatchObject({ status: 0 });
  return digestOf(outDir);
}

const noFaketime = missingTools('faketime');

test.skipIf(noFaketime)(named('the same digest on another day', noFaketime), async () => {
  const args = [NQUEENS, ...offlineFlags(), '-o', path.join(folder, 'out')];
  const command = [process.execPath, UPORT, 'build', ...args];
  const env = { UPORT_STORE_DIR: path.join(folder, 'store') };
  const built = await start('faketime', ['2031-05-05 10:00:00', ...command], { env });
  expect(built).toMatchObject({ status: 0 });
  expect(await digestOf(path.join(folder, 'out'))).toBe(await build([NQUEENS, ...offlineFlags()]));
});

test('the same digest of a folder with other dates, made in another order, from a cold store', async () => {
  const names = ['b', 'a', 'z/c', 'z/\u00e9', '.hidden', 'Z'];
  const make = async (name: string, order: readonly string[], date: number) => {
    const app = path.join(folder, name, 'app');
    await mkdir(path.join(app, 'z'), { recursive: true });
    for (const each of order) {
      await writeFile(path.join(app, each), `the file ${each}\n`, { mode: 0o644 });
      await utimes(path.join(app, each), date, date);
    }
    await cp(NQUEENS, path.join(app, 'nqueens'));
    return app;
  };
  const flags = ['--entrypoint', 'nqueens', ...offlineFlags()];
  const first = await build([await make('one', names, 1), ...flags]);
  const again = await build([await make('two', names.toReversed(), 2_000_000_000), ...flags], {
    env: { UPORT_STORE_DIR: path.join(folder, 'store') },
  });
  expect(again).toBe(first);
});

test('SOURCE_DATE_EPOCH is the only time in an image', async () => {
  const args = [NQUEENS, ...offlineFlags()];
  const dated = await build(args, { env: { SOURCE_DATE_EPOCH: '1700000000' } });
  expect(dated).not.toBe(await build(args));
  expect(await build([...args, '--source-date-epoch', '1700000000'])).toBe(dated);
});

test('the digest of a fixed image is the pinned one', async () => {
  // Debian's emulators change from day to day; these stand in for them and never do.
  for (const { name, elf } of DEFAULT_HOSTS) {
    const body = Buffer.from(`qemu-riscv64 version 1.2.3 for ${name}\n`.repeat(10_000));
    const file = path.join(folder, 'emulators', name, 'qemu-riscv64');
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, buildElf({ ...elf, flags: elf.flags?.value ?? 0, body }));
  }
  const emulators = ['--emulators', `dir:${path.join(folder, 'emulators')}`];
  const digest = await build([NQUEENS, ...emulators]);
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  // Another launcher or another zlib makes another digest. If that is meant: npx vitest run -u
  await expect(`${digest}\n`).toMatchFileSnapshot('pinned/image-index.digest');
});
