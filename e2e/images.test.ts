import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, missingToolchains } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUESTS, PLATFORMS } from './support/guests.ts';
import { missingSchemas, schemaFaults } from './support/image-spec.ts';
import { builtImage } from './support/images.ts';
import { blobFile, type Index, readImages, readJson } from './support/layout.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

const missing = missingTools('skopeo', 'umoci');

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

interface BuiltPlan {
  readonly hosts: readonly {
    readonly host: string;
    readonly emulator?: { readonly digest: string; readonly preparedFrom?: string };
  }[];
}

describe.each(GUESTS)('the image of a $guest program', ({ toolchain, guest }) => {
  const lacking = missingToolchains(toolchain);
  const layout = () => path.join(builtImage(guest).outDir, 'oci');
  let folder: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => removeFolder(folder));

  test.skipIf(lacking)(
    named('has five platforms that share the layer of the guest', lacking),
    async () => {
      const images = await readImages(layout());
      expect(images.map(({ platform }) => platform).sort()).toEqual(
        Object.values(PLATFORMS).sort(),
      );
      const guestLayers = new Set(images.map(({ manifest }) => manifest.layers[0]?.digest));
      expect(guestLayers.size).toBe(1);
      for (const { platform, manifest, config } of images) {
        const native = platform === PLATFORMS[guest];
        expect(manifest.layers).toHaveLength(native ? 1 : 2);
        expect(config.config.Entrypoint).toEqual(
          native ? ['/app/probe'] : ['/.uport/launch', '--', '/app/probe'],
        );
      }
    },
  );

  test.skipIf(lacking)(named('passes uport validate', lacking), async () => {
    expect(await uport(['validate', layout()])).toMatchObject({ status: 0 });
  });

  const noSchemas = lacking ?? missingSchemas();
  test.skipIf(noSchemas)(named("fits the image-spec's JSON schemas", noSchemas), async () => {
    const dir = layout();
    const top = (await readJson(path.join(dir, 'index.json'))) as Index;
    expect(
      await schemaFaults('image-layout', await readJson(path.join(dir, 'oci-layout'))),
    ).toEqual([]);
    expect(await schemaFaults('image-index', top)).toEqual([]);
    for (const { digest } of top.manifests) {
      expect(await schemaFaults('image-index', await readJson(blobFile(dir, digest)))).toEqual([]);
    }
    for (const { manifest, config } of await readImages(dir)) {
      expect(await schemaFaults('image-manifest', manifest)).toEqual([]);
      expect(await schemaFaults('config', config)).toEqual([]);
    }
  });

  const noTools = lacking ?? missing;
  test.skipIf(noTools)(named('is copied by skopeo copy --all as it is', noTools), async () => {
    const copied = await start('skopeo', [
      ...['copy', '--all', '--quiet'],
      ...[`oci:${layout()}:latest`, `oci:${folder}/copy:latest`],
    ]);
    expect(copied).toMatchObject({ status: 0 });
    const [from, to] = await Promise.all(
      [layout(), `${folder}/copy`].map(
        async (dir) => (await readJson(`${dir}/index.json`)) as Index,
      ),
    );
    expect(to?.manifests[0]?.digest).toBe(from?.manifests[0]?.digest);
  });

  test.skipIf(noTools).for(Object.entries(PLATFORMS))(
    named('is unpacked by umoci for %s', noTools),
    async ([host, platform]) => {
      const root = await unpack(layout(), platform, path.join(folder, host));
      const files = (await readdir(root, { recursive: true })).sort();
      const native = host === guest;
      const own = ['NOTICE', 'launch', 'manifest', `qemu-${guest}`].map((name) => `.uport/${name}`);
      expect(files).toEqual([...(native ? [] : ['.uport', ...own]), 'app', 'app/probe']);
      expect(await sha256(`${root}/app/probe`)).toBe(await sha256(builtImage(guest).program));
      expect((await stat(`${root}/app/probe`)).mode & 0o7777).toBe(0o755);
      if (native) return;
      // What the plan pins, which is the emulator that was given, or made of it.
      const plan = (await readJson(path.join(builtImage(guest).outDir, 'plan.json'))) as BuiltPlan;
      const pinned = plan.hosts.find((each) => each.host === host)?.emulator;
      const given = await sha256(cacheFolder('emulators', host, `qemu-${guest}`));
      expect(pinned?.preparedFrom ?? pinned?.digest).toBe(`sha256:${given}`);
      const travels = await sha256(`${root}/.uport/qemu-${guest}`);
      expect(`sha256:${travels}`).toBe(pinned?.digest);
      for (const program of ['launch', `qemu-${guest}`]) {
        expect((await stat(`${root}/.uport/${program}`)).mode & 0o7777).toBe(0o755);
      }
    },
  );
});

/** umoci calls a tag of a multi-arch index ambiguous: one platform goes to a layout of its own first. */
async function unpack(layout: string, platform: string, folder: string): Promise<string> {
  const [, architecture, variant] = platform.split('/');
  const copied = await start('skopeo', [
    ...['--override-arch', architecture as string],
    ...(variant ? ['--override-variant', variant] : []),
    ...['copy', '--quiet', `oci:${layout}:latest`, `oci:${folder}-one:latest`],
  ]);
  expect(copied).toMatchObject({ status: 0 });
  const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
  const unpacked = await start('umoci', [
    'unpack',
    ...rootless,
    '--image',
    `${folder}-one:latest`,
    folder,
  ]);
  expect(unpacked).toMatchObject({ status: 0 });
  return path.join(folder, 'rootfs');
}
