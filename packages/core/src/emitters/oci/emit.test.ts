import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { samplePlan } from '../../oci/testing/sample-plan.ts';
import { ociEmitter } from './index.ts';

const OPTIONS = { compression: 'gzip', tags: ['latest', '1.0'], archive: false } as const;

test('a layout of five platforms with the guest layer once', async () => {
  const sample = await samplePlan();
  const out = path.join(sample.folder, 'out');
  await mkdir(out);
  const [artifact] = await ociEmitter.emit(sample.plan, OPTIONS, await sample.context(out));
  const layout = artifact?.path ?? '';
  const read = async (digest: string) =>
    JSON.parse(await readFile(path.join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
  const top = JSON.parse(await readFile(path.join(layout, 'index.json'), 'utf8'));
  expect(top.manifests.map((each: { digest: string }) => each.digest)).toEqual([
    artifact?.digest,
    artifact?.digest,
  ]);
  const index = await read(top.manifests[0].digest);
  const manifests = await Promise.all(
    index.manifests.map((each: { digest: string }) => read(each.digest)),
  );
  expect(new Set(manifests.map((each) => each.layers[0].digest)).size).toBe(1);
  expect(manifests.map((each) => each.layers.length)).toEqual([2, 2, 1, 2, 2]);
  expect(await readdir(out)).toEqual(['oci']);
});
