import { copyFile, mkdir, open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { readImages } from './support/layout.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { uport } from './support/uport.ts';

const MIB = 2 ** 20;
/** Of the payload: 2 GiB in all. */
const FILES = 4;
const FILE_MIB = 512;

let folder: string;
let app: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  app = path.join(folder, 'app');
  await mkdir(app);
  await copyFile(NQUEENS, path.join(app, 'nqueens'));
  for (let i = 0; i < FILES; i++) await writeLargeFile(path.join(app, `data-${i}`), i + 1);
});
afterAll(() => removeFolder(folder));

/** Every 64th MiB differs from the others and does not compress; the rest is a hole. */
async function writeLargeFile(file: string, seed: number): Promise<void> {
  const handle = await open(file, 'wx', 0o644);
  await handle.truncate(FILE_MIB * MIB);
  const noise = new Uint32Array(MIB / 4);
  let state = seed;
  for (let at = 0; at < FILE_MIB; at += 64) {
    for (let i = 0; i < noise.length; i++) {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
      noise[i] = state;
    }
    await handle.write(new Uint8Array(noise.buffer), 0, MIB, at * MIB);
  }
  await handle.close();
}

/** The incompressible part of the payload: what is written is larger. */
const NOISE = ((FILES * FILE_MIB) / 64) * MIB;

/** Builds into `out`; the peak of its resident memory, in MiB. */
async function peakOfBuild(emit: string, out: string, flags: readonly string[]): Promise<number> {
  // The process itself tells its peak at its end, in KiB.
  const peakFile = path.join(folder, `peak-${emit}`);
  const tell = `import { writeFileSync } from 'node:fs';
    process.on('exit', () => writeFileSync(${JSON.stringify(peakFile)}, String(process.resourceUsage().maxRSS)));`;
  const input = ['build', app, '--entrypoint', 'nqueens', ...offlineFlags()];
  const built = await uport([...input, '--emit', emit, ...flags, '-o', out], {
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` },
    seconds: 220,
  });
  expect(built).toMatchObject({ status: 0 });
  return Number(await readFile(peakFile, 'utf8')) / 1024;
}

test('an image with a payload of 2 GiB takes less than 200 MiB of memory', async () => {
  const out = path.join(folder, 'image');
  const peak = await peakOfBuild('oci', out, []);
  expect(peak).toBeGreaterThan(20);
  expect(peak).toBeLessThan(200);
  const [image] = await readImages(path.join(out, 'oci'));
  expect(image?.manifest.layers[0]?.size).toBeGreaterThan(NOISE);
});

test('a universal file with a payload of 2 GiB takes less than 200 MiB of memory', async () => {
  const out = path.join(folder, 'universal');
  const peak = await peakOfBuild('universal', out, ['--compression-level', '1']);
  expect(peak).toBeGreaterThan(20);
  expect(peak).toBeLessThan(200);
  expect((await stat(path.join(out, 'app'))).size).toBeGreaterThan(NOISE);
});
