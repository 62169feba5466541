// Existing images in a configuration: built without arguments, pinned by digest, refreshed.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { busybox } from './support/busybox.ts';
import { type CountingRegistry, startCountingRegistry } from './support/counting-registry.ts';
import { readImages } from './support/layout.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { type StartOptions, start, uport } from './support/uport.ts';
import { type VendorImage, vendorImage } from './support/vendor-image.ts';

const { signal } = new AbortController();

let folder: string;
let one: VendorImage;
let two: VendorImage;
beforeAll(async () => {
  folder = await temporaryFolder();
  const of = async (name: string, config: Record<string, unknown>) =>
    vendorImage(path.join(folder, name), {
      ...{ architecture: 'amd64', format: 'oci', config },
      busybox: await busybox('x86_64', signal),
    });
  one = await of('one', { Labels: { version: '1' } });
  two = await of('two', { Labels: { version: '2' } });
}, 60_000);
afterAll(() => removeFolder(folder));

interface Output {
  readonly apps: readonly {
    readonly artifacts: readonly { readonly emitter: string; readonly digest: string }[];
  }[];
}

async function project(name: string, config: object): Promise<string> {
  const place = path.join(folder, name);
  await mkdir(place);
  const whole = { hosts: ['amd64', 'arm64'], emulators: [inject('emulators')], ...config };
  await writeFile(path.join(place, 'uport.config.json'), JSON.stringify(whole));
  return place;
}

async function built(cwd: string, flags: readonly string[] = [], options: StartOptions = {}) {
  const ran = await uport(['build', '--json', ...flags], { cwd, seconds: 120, ...options });
  expect(ran).toMatchObject({ status: 0 });
  const { apps } = JSON.parse(ran.stdout) as Output;
  return apps.flatMap((app) => app.artifacts.map(({ emitter, digest }) => `${emitter} ${digest}`));
}

const lockOf = async (place: string) =>
  JSON.parse(await readFile(path.join(place, 'uport.lock'), 'utf8'));

test('a layout: built, the same elsewhere, drift, update', { timeout: 240_000 }, async () => {
  const emit = { oci: {}, universal: { level: 1 } };
  const here = await project('here', { input: 'oci:image', emit });
  await cp(one.layout, path.join(here, 'image'), { recursive: true });
  const made = await built(here);
  expect(made.map((each) => each.split(' ')[0])).toEqual(['oci', 'universal']);
  const images = await readImages(path.join(here, 'dist/oci'));
  expect(images.map(({ platform }) => platform)).toEqual(['linux/amd64', 'linux/arm64/v8']);
  expect(await lockOf(here)).toMatchObject({
    images: { app: { source: 'oci:image', digest: one.digest } },
  });

  const there = await project('there', { input: 'oci:image', emit });
  for (const name of ['image', 'uport.lock']) {
    await cp(path.join(here, name), path.join(there, name), { recursive: true });
  }
  const env = { UPORT_STORE_DIR: path.join(folder, 'store') };
  expect(await built(there, ['--frozen'], { env })).toEqual(made);

  await removeFolder(path.join(there, 'image'));
  await cp(two.layout, path.join(there, 'image'), { recursive: true });
  await removeFolder(path.join(there, 'dist'));
  const drift = await uport(['build', '--frozen'], { cwd: there, env });
  expect(drift).toMatchObject({
    status: 6,
    stderr: expect.stringContaining(
      `the image of app: oci:image (${one.digest}) → oci:image (${two.digest})`,
    ),
  });
  const updated = await uport(['update', 'app'], { cwd: there, env });
  expect(updated).toMatchObject({ status: 0, stdout: expect.stringContaining(two.digest) });
  expect(await lockOf(there)).toMatchObject({ images: { app: { digest: two.digest } } });
  expect(await built(there, ['--frozen', '--emit', 'oci'], { env })).not.toContain(made[0]);
});

const noSkopeo = missingTools('skopeo');

test.skipIf(noSkopeo)(named('an archive: built, and pinned', noSkopeo), async () => {
  const input = 'docker-archive:image.tar';
  const place = await project('archive', { input, emit: { oci: {} } });
  const save = async ({ layout }: VendorImage) => {
    const archive = path.join(place, 'image.tar');
    await rm(archive, { force: true });
    const copied = await start('skopeo', [
      'copy',
      '-q',
      `oci:${layout}`,
      `docker-archive:${archive}`,
    ]);
    expect(copied).toMatchObject({ status: 0 });
  };
  await save(one);
  const made = await built(place);
  const [image] = await readImages(path.join(place, 'dist/oci'));
  expect(image?.config.config).toMatchObject({ Labels: { version: '1' } });
  expect(await lockOf(place)).toMatchObject({ images: { app: { source: input } } });
  expect(await built(place, ['--frozen'])).toEqual(made);
  await save(two);
  expect(await uport(['build', '--frozen'], { cwd: place })).toMatchObject({
    status: 6,
    stderr: expect.stringContaining(`the image of app: ${input} (`),
  });
});

test('settings that an image has no place for are refused', async () => {
  const place = await project('strange', { input: 'oci:image', image: { user: 'app' } });
  expect(await uport(['build'], { cwd: place })).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('UPORT_CONFIG_IMAGE'),
  });
});

const missing = missingTools('docker-registry');

describe.skipIf(missing)(named('an image in a registry', missing), () => {
  let registry: CountingRegistry;
  beforeAll(async () => {
    registry = await startCountingRegistry(path.join(folder, 'registry'));
  });
  afterAll(() => registry.stop());
  const put = async ({ layout }: VendorImage) => {
    const pushed = await uport(['push', layout, `${registry.host}/vendor/app:1`, '--insecure']);
    expect(pushed).toMatchObject({ status: 0 });
  };

  test('stays the locked one when its tag moves, until an update', {
    timeout: 240_000,
  }, async () => {
    await put(one);
    const source = `docker://${registry.host}/vendor/app:1`;
    const target = `${registry.host}/vendor/app:1-multi`;
    const place = await project('remote', { input: source, push: [target] });
    expect(await built(place, ['--insecure'])).toEqual([]);
    const lock = await lockOf(place);
    expect(lock).toMatchObject({ images: { app: { source, digest: one.digest } } });
    await put(two);
    const flags = ['--frozen', '--insecure', '-o', 'out'];
    const [image] = await built(place, flags);
    const [kept] = await readImages(path.join(place, 'out/oci'));
    expect(kept?.config.config).toMatchObject({ Labels: { version: '1' } });
    expect(await lockOf(place)).toEqual(lock);
    const updated = await uport(['update', '--insecure'], { cwd: place });
    expect(updated).toMatchObject({ status: 0, stdout: expect.stringContaining(two.digest) });
    expect(await built(place, flags)).not.toEqual([image]);
  });
});
