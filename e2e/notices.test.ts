// What travels is accounted for: licences and source in every artifact, SBOMs attached to images.
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CountingRegistry, startCountingRegistry } from './support/counting-registry.ts';
import { blobFile, type Index, type Manifest, readImages, readJson } from './support/layout.ts';
import { NQUEENS } from './support/nqueens.ts';
import { cycloneDxFaults, SPDX_SCHEMA, spdxFaults } from './support/sbom-schemas.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { start, uport } from './support/uport.ts';

let folder: string;
let out: string;
let layout: string;
/** The notice for all hosts, as it comes out of the universal file. */
let notice: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  out = path.join(folder, 'out');
  layout = path.join(out, 'oci');
  const built = await uport(
    [
      ...['build', NQUEENS, '--emit', 'oci,universal,fatelf,nix', '-o', out],
      ...['--host', 'amd64,arm64', '--emulators', 'debian:bookworm', '--compression-level', '1'],
    ],
    { seconds: 600 },
  );
  expect(built).toMatchObject({ status: 0 });
  const extracted = path.join(folder, 'extracted');
  await start(path.join(out, 'nqueens'), [], { env: { UPORT_EXTRACT: extracted } });
  notice = await readFile(path.join(extracted, 'root/.uport/NOTICE'), 'utf8');
}, 700_000);
afterAll(() => removeFolder(folder));

/** The bytes of a file in a layer, found with GNU tar. */
async function fileInLayer(digest: string, name: string): Promise<string> {
  const listed = await start('tar', ['-xOzf', blobFile(layout, digest), name]);
  return listed.stdout;
}

test('the notice names the source packages and quotes the licences', async () => {
  const [, version] = /Source package: qemu (\S+)\n/.exec(notice) ?? [];
  const plan = JSON.parse(await readFile(path.join(out, 'plan.json'), 'utf8'));
  expect(version).toBe(plan.hosts[0].emulator.origin.sourceVersion);
  for (const { name, version } of plan.hosts[0].emulator.builtUsing) {
    expect(notice).toContain(`${name} ${version}`);
  }
  expect(notice).toContain('Upstream-Name: musl');
  expect(notice).toContain('For Zstandard software');
  expect(notice).toMatch(/offers, for at\nleast three years/);
});

const COMMON_LICENSES = '/usr/share/common-licenses';
const noLicenses = existsSync(COMMON_LICENSES)
  ? undefined
  : 'on Debian: apt-get install base-files';

test.skipIf(noLicenses)(named('what is quoted is the whole text', noLicenses), async () => {
  for (const name of ['GPL-2', 'LGPL-2.1']) {
    const text = await readFile(path.join(COMMON_LICENSES, name), 'utf8');
    expect(notice).toContain(text.trimEnd());
  }
});

test('every artifact has it', async () => {
  const files = await Promise.all(
    (await readImages(layout)).map(({ manifest }) =>
      fileInLayer(manifest.layers[1]?.digest ?? '', '.uport/NOTICE'),
    ),
  );
  expect(files.length).toBe(2);
  for (const file of files) expect(file).toContain('GNU GENERAL PUBLIC LICENSE');
  // Each host's image tells of its own emulator only.
  expect(files[0]).toContain('riscv64 programs on x86_64.');
  expect(files[1]).toContain('riscv64 programs on aarch64.');

  const inspected = await uport(['inspect', path.join(out, 'nqueens.fatelf'), '--json']);
  expect(JSON.parse(inspected.stdout).notice).toBe('.uport/NOTICE');

  // A NAR keeps files as they are.
  const nar = await readFile(path.join(out, 'nix/universal.nar'));
  expect(nar.includes(Buffer.from(notice, 'utf8'))).toBe(true);
});

test('the SBOMs that are attached to the image are those of the plan, and CycloneDX is valid', async () => {
  const referrers = await attached();
  expect(referrers.map(({ type }) => type)).toEqual([
    'application/spdx+json',
    'application/vnd.cyclonedx+json',
  ]);
  for (const { type, document } of referrers) {
    const format = type === 'application/spdx+json' ? 'spdx' : 'cyclonedx';
    expect((await uport(['sbom', out, '--format', format])).stdout).toBe(document);
  }
  const bom = JSON.parse(referrers[1]?.document ?? '');
  expect(await cycloneDxFaults(bom)).toEqual([]);
  expect(await cycloneDxFaults({ ...bom, version: 'one' })).not.toEqual([]);
  const names = bom.components.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['qemu-riscv64', 'glibc', 'musl', 'zstd']));
});

const noSchema = SPDX_SCHEMA ? undefined : 'UPORT_SPDX_SCHEMA=spdx-spec/schemas/spdx-schema.json';

test.skipIf(noSchema)(named('SPDX is valid by its official schema', noSchema), async () => {
  const document = JSON.parse((await attached())[0]?.document ?? '');
  expect(await spdxFaults(document)).toEqual([]);
  expect(await spdxFaults({ ...document, packages: 'none' })).not.toEqual([]);
});

interface Attached {
  readonly type: string;
  readonly document: string;
}

/** What the layout lists under the tag of the image's digest; read with nothing of uport's. */
async function attached(): Promise<readonly Attached[]> {
  const top = (await readJson(path.join(layout, 'index.json'))) as Index;
  const [image] = top.manifests;
  const tag = image?.digest.replace(':', '-');
  const list = top.manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag,
  );
  const { manifests } = (await readJson(blobFile(layout, list?.digest ?? ''))) as Index;
  return Promise.all(
    manifests.map(async ({ digest }) => {
      const manifest = (await readJson(blobFile(layout, digest))) as Manifest & {
        readonly artifactType: string;
        readonly subject: { readonly digest: string };
      };
      expect(manifest.subject.digest).toBe(image?.digest);
      const content = blobFile(layout, manifest.layers[0]?.digest ?? '');
      return { type: manifest.artifactType, document: await readFile(content, 'utf8') };
    }),
  );
}

test('without SBOMs the image has the same digest', async () => {
  const other = path.join(folder, 'other');
  const args = ['--host', 'amd64,arm64', '--emulators', 'debian:bookworm', '--no-sbom'];
  const built = await uport(
    ['build', NQUEENS, '-o', other, ...args, '--compression-level', '1', '--json'],
    { seconds: 300 },
  );
  const top = (await readJson(path.join(layout, 'index.json'))) as Index;
  expect(JSON.parse(built.stdout).artifacts[0].digest).toBe(top.manifests[0]?.digest);
  const own = (await readJson(path.join(other, 'oci/index.json'))) as Index;
  expect(own.manifests.length).toBe(1);
  const count = async (dir: string) => (await readdir(path.join(dir, 'blobs/sha256'))).length;
  expect(await count(path.join(other, 'oci'))).toBeLessThan(await count(layout));
});

const missing = missingTools('docker-registry');

describe.skipIf(missing)(named('in a registry without a referrers API', missing), () => {
  let registry: CountingRegistry;
  beforeAll(async () => {
    registry = await startCountingRegistry(path.join(folder, 'registry'));
  });
  afterAll(() => registry.stop());

  const get = async (name: string) => {
    const answer = await fetch(`http://${registry.host}/v2/team/probe/manifests/${name}`, {
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    return answer.status === 200 ? ((await answer.json()) as Index) : undefined;
  };
  const push = async (name = 'probe', ...flags: readonly string[]) => {
    const reference = `${registry.host}/team/${name}:1`;
    const pushed = await uport(['push', layout, reference, '--insecure', '--json', ...flags]);
    expect(pushed).toMatchObject({ status: 0 });
    return JSON.parse(pushed.stdout);
  };

  test('they are listed under the tag of the digest, beside what others have put there', async () => {
    const first = await push();
    expect(first).toMatchObject({ referrers: 2 });
    const tag = first.digest.replace(':', '-');
    const list = await get(tag);
    expect(list?.manifests.length).toBe(2);

    // Another tool's entry: a list may name any manifest that the registry has.
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const top = (await readJson(path.join(layout, 'index.json'))) as Index;
    const index = (await readJson(blobFile(layout, top.manifests[0]?.digest ?? ''))) as Index;
    const [there] = index.manifests;
    const put = await fetch(`http://${registry.host}/v2/team/probe/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType },
      body: JSON.stringify({ schemaVersion: 2, mediaType, manifests: [there] }),
    });
    expect(put.status).toBe(201);
    expect(await push()).toMatchObject({ uploadedBlobs: 0 });
    expect(await push('plain', '--no-sbom')).toMatchObject({ digest: first.digest, referrers: 0 });
    const digests = (await get(tag))?.manifests.map(({ digest }) => digest);
    expect(digests).toEqual([
      there?.digest,
      ...(list?.manifests.map(({ digest }) => digest) ?? []),
    ]);
  });
});

test('an attached document that was changed is found', async () => {
  const copy = path.join(folder, 'copy');
  await start('cp', ['-a', layout, copy]);
  const file = path.join(copy, 'index.json');
  const top = JSON.parse(await readFile(file, 'utf8'));
  top.manifests[1].annotations['org.opencontainers.image.ref.name'] = `sha256-${'0'.repeat(64)}`;
  await writeFile(file, JSON.stringify(top));
  const validated = await uport(['validate', copy, '--json']);
  expect(validated.stdout).toContain('UPORT_OCI_REFERRER');
});
