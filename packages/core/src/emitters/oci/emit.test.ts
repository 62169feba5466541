import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { BytePath } from '../../model/payload-tree.ts';
import { type Sample, type SampleOptions, samplePlan } from '../../oci/testing/sample-plan.ts';
import { validateLayout } from '../../oci/validate.ts';
import { repositoryName } from './archives.ts';
import { type OciOptions, ociEmitter } from './index.ts';

const OPTIONS: OciOptions = { compression: 'gzip', tags: ['latest'], archive: false, sbom: true };

// biome-ignore lint/suspicious/noExplicitAny: JSON documents, looked at by path.
type Any = any;

interface Made {
  readonly sample: Sample;
  readonly out: string;
  readonly digest: string;
  /** index.json, the index, and each platform's manifest and config. */
  readonly top: Any;
  readonly index: Any;
  readonly images: { manifest: Any; config: Any }[];
}

async function make(
  options: Partial<OciOptions> = {},
  sampling: SampleOptions = {},
): Promise<Made> {
  const sample = await samplePlan(sampling);
  const out = path.join(sample.folder, 'out');
  mkdirSync(out);
  const context = await sample.context(out);
  const [artifact] = await ociEmitter.emit(sample.plan, { ...OPTIONS, ...options }, context);
  const read = (name: string): Any => JSON.parse(readFileSync(path.join(out, 'oci', name), 'utf8'));
  const blob = (digest: string): Any => read(`blobs/${digest.replace(':', '/')}`);
  const top = read('index.json');
  const index = blob(top.manifests[0].digest);
  const images = index.manifests.map((each: Any) => {
    const manifest = blob(each.digest);
    return { manifest, config: blob(manifest.config.digest) };
  });
  return { sample, out, digest: artifact?.digest ?? '', top, index, images };
}

test('five platforms share one guest layer', async () => {
  const { top, index, images, digest, out } = await make({ tags: ['latest', '1.0'] });
  expect(top.manifests.map((each: Any) => [each.digest, each.annotations])).toEqual([
    [digest, { 'org.opencontainers.image.ref.name': 'latest' }],
    [digest, { 'org.opencontainers.image.ref.name': '1.0' }],
    [
      expect.any(String),
      { 'org.opencontainers.image.ref.name': digest.replace('sha256:', 'sha256-') },
    ],
  ]);
  expect(index.manifests.map((each: Any) => each.platform)).toEqual([
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'linux', variant: 'v8' },
    { architecture: 'riscv64', os: 'linux' },
    { architecture: 'ppc64le', os: 'linux' },
    { architecture: 's390x', os: 'linux' },
  ]);
  expect(new Set(images.map(({ manifest }) => manifest.layers[0].digest)).size).toBe(1);
  expect(images.map(({ manifest }) => manifest.layers.length)).toEqual([2, 2, 1, 2, 2]);
  expect(readdirSync(out)).toEqual(['oci']);
});

test('the config: the launcher before the entrypoint, all else as planned', async () => {
  const { images, index } = await make();
  const [amd64, , riscv64] = images.map(({ config }) => config);
  expect(amd64).toMatchObject({ created: '2023-11-14T22:13:20Z', architecture: 'amd64' });
  expect(amd64.config).toEqual({
    User: '1000',
    ExposedPorts: { '53/udp': {}, '80/tcp': {} },
    Env: ['A=1'],
    Entrypoint: ['/.uport/launch', '--', '/app/hello'],
    Cmd: ['a', 'b'],
    Volumes: { '/data': {} },
    WorkingDir: '/',
    Labels: { a: '1', b: '2' },
    StopSignal: 'SIGINT',
  });
  expect(riscv64.config).toEqual({ ...amd64.config, Entrypoint: ['/app/hello'] });
  expect(amd64['os.features']).toBeUndefined();
  expect(index.manifests.map((each: Any) => each.annotations['dev.uport.way'])).toEqual([
    'emulated',
    'emulated',
    'native',
    'emulated',
    'emulated',
  ]);
  expect(images[0]?.manifest.annotations).toMatchObject({
    'dev.uport.guest': 'riscv64',
    'dev.uport.emulator': 'qemu 11.1.2',
    'org.opencontainers.image.version': '1',
  });
});

test('a slice takes the place of the target', async () => {
  const { out, images } = await make({}, { slice: 'x86_64' });
  expect(images[0]?.manifest.layers.length).toBe(2);
  expect(images[0]?.config.config.Entrypoint).toEqual(['/app/hello']);
  const digest = images[0]?.manifest.layers[1].digest.slice(7);
  const listed = spawnSync('tar', ['-tzf', path.join(out, 'oci', 'blobs', 'sha256', digest)]);
  expect(listed.stdout.toString()).toBe('app/\napp/hello\n');
});

test.each(['gzip', 'zstd'] as const)('archives hold the same blobs (%s)', async (compression) => {
  const tags = ['latest', '1.0'];
  const { out, sample, digest } = await make({ archive: true, compression, tags });
  for (const name of ['oci-archive.tar', 'docker-archive.tar']) {
    const folder = path.join(sample.folder, name);
    mkdirSync(folder);
    const done = spawnSync('tar', ['-xf', path.join(out, name), '-C', folder], {
      encoding: 'utf8',
    });
    expect(done.stderr).toBe('');
    expect(await validateLayout(folder)).toEqual([]);
    const { manifests }: Any = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
    expect(
      manifests.map((each: Any) => [
        each.digest,
        each.annotations['org.opencontainers.image.ref.name'],
      ]),
    ).toEqual(tags.map((tag) => [digest, tag]));
  }
  const manifest: Any = JSON.parse(
    readFileSync(path.join(sample.folder, 'docker-archive.tar', 'manifest.json'), 'utf8'),
  );
  expect(manifest.map((each: Any) => each.RepoTags)).toEqual([
    ['hello:latest-amd64', 'hello:1.0-amd64'],
    ['hello:latest-arm64', 'hello:1.0-arm64'],
    ['hello:latest-riscv64', 'hello:1.0-riscv64'],
    ['hello:latest-ppc64le', 'hello:1.0-ppc64le'],
    ['hello:latest-s390x', 'hello:1.0-s390x'],
  ]);
  expect(readdirSync(out).sort()).toEqual(['docker-archive.tar', 'oci', 'oci-archive.tar']);
});

test('names of images come from any text', () => {
  expect(repositoryName('My App_2.0!')).toBe('my-app-2-0');
  expect(repositoryName('---')).toBe('app');
});

test('the digest of a whole image is pinned', async () => {
  const { digest } = await make();
  expect(digest).toMatchInlineSnapshot(
    `"sha256:d883a45f65ff7ebf7399a4f54f96efc7e65cadfc9eea26f4e49a13b6e5bab199"`,
  );
});

test('the same bytes in another folder, umask, time zone, language', async () => {
  const { digest } = await make();
  const script = `
    process.umask(0o077);
    const { samplePlan } = await import(${JSON.stringify(path.resolve(import.meta.dirname, '../../oci/testing/sample-plan.ts'))});
    const { ociEmitter } = await import(${JSON.stringify(path.resolve(import.meta.dirname, 'index.ts'))});
    const sample = await samplePlan();
    const context = await sample.context(sample.folder);
    const [made] = await ociEmitter.emit(sample.plan, ${JSON.stringify(OPTIONS)}, context);
    console.log(made.digest);`;
  const env = { ...process.env, TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' };
  const done = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    env,
    encoding: 'utf8',
  });
  expect(done.stderr).toBe('');
  expect(done.stdout.trim()).toBe(digest);
});

test('packed emulators come out of the store, unless they were damaged there', async () => {
  const { sample, out, digest } = await make();
  const blobs = path.join(sample.folder, 'store', 'blobs', 'sha256');
  const kept = readdirSync(blobs);
  expect(kept.length).toBe(4);
  // With the emulators gone they can only come out of the store.
  for (const host of sample.plan.hosts) {
    if ('emulator' in host)
      writeFileSync(sample.content.locate(host.emulator.digest) as string, '');
  }
  const again = async () => {
    const [made] = await ociEmitter.emit(sample.plan, OPTIONS, await sample.context(out));
    return made?.digest;
  };
  expect(await again()).toBe(digest);
  writeFileSync(path.join(blobs, kept[0] as string), 'damaged');
  await expect(again()).rejects.toMatchObject({ code: 'UPORT_INPUT_CHANGED' });
  expect(await validateLayout(path.join(out, 'oci'))).toEqual([]);
  expect(readdirSync(out)).toEqual(['oci']);
});

test('an earlier image is replaced; what is no image is not', async () => {
  const { sample, out } = await make();
  writeFileSync(path.join(out, 'oci', 'left-over'), '');
  const emit = async (options: Partial<OciOptions> = {}) =>
    ociEmitter.emit(sample.plan, { ...OPTIONS, ...options }, await sample.context(out));
  await emit();
  expect(existsSync(path.join(out, 'oci', 'left-over'))).toBe(false);
  rmSync(path.join(out, 'oci', 'oci-layout'));
  await expect(emit()).rejects.toMatchObject({ code: 'UPORT_OUTPUT_IN_THE_WAY' });
  rmSync(path.join(out, 'oci'), { recursive: true });
  mkdirSync(path.join(out, 'docker-archive.tar'));
  await expect(emit({ archive: true })).rejects.toMatchObject({ code: 'UPORT_OUTPUT_IN_THE_WAY' });
  expect(readdirSync(out)).toEqual(['docker-archive.tar']);
  writeFileSync(path.join(out, 'oci'), 'a file');
  await expect(emit()).rejects.toMatchObject({ code: 'UPORT_OUTPUT_IN_THE_WAY' });
  expect(readFileSync(path.join(out, 'oci'), 'utf8')).toBe('a file');
});

test('stopped at any moment, nothing is left and the earlier image stays', async () => {
  const { sample, out } = await make();
  const before = statSync(path.join(out, 'oci')).ino;
  const full = await sample.context(out);
  // One check of the signal after another is the one at which the build is stopped.
  let checks = 0;
  let stopAt = Number.POSITIVE_INFINITY;
  const signal = new AbortController().signal;
  signal.throwIfAborted = () => {
    if (++checks > stopAt) throw new DOMException('stopped', 'AbortError');
  };
  rmSync(path.join(sample.folder, 'store'), { recursive: true });
  const context = { ...full, ...(await sample.context(out, signal)) };
  for (stopAt = 0; stopAt < 8; stopAt++) {
    checks = 0;
    await expect(
      ociEmitter.emit(sample.plan, { ...OPTIONS, archive: true }, context),
    ).rejects.toThrow('stopped');
    expect(readdirSync(out)).toEqual(['oci']);
    expect(statSync(path.join(out, 'oci')).ino).toBe(before);
  }
});

const BAD: Record<string, [code: string, options: Partial<OciOptions>, sampling: SampleOptions]> = {
  'a tag that is none': ['UPORT_OCI_TAG_INVALID', { tags: ['a b'] }, {}],
  'no tag': ['UPORT_OCI_TAG_INVALID', { tags: [] }, {}],
  'a tag twice': ['UPORT_OCI_TAG_INVALID', { tags: ['a', 'a'] }, {}],
  'a level too high': ['UPORT_OCI_LEVEL_INVALID', { level: 10 }, {}],
  'a host that images do not know': ['UPORT_OCI_NO_PLATFORM', {}, { hosts: ['hexagon'] }],
  'a name that deletes in layers': [
    'UPORT_OCI_WHITEOUT_NAME',
    {},
    { entries: [{ path: 'app/.wh.x', bytes: Buffer.from('x') }] },
  ],
};

test.each(Object.entries(BAD))('refused: %s', async (_name, [code, options, sampling]) => {
  const sample = await samplePlan(sampling);
  const out = path.join(sample.folder, 'out');
  mkdirSync(out);
  await expect(
    ociEmitter.emit(sample.plan, { ...OPTIONS, ...options }, await sample.context(out)),
  ).rejects.toMatchObject({ code });
  expect(readdirSync(out)).toEqual([]);
});

test('content that is gone or changed is refused', async () => {
  const sample = await samplePlan();
  const out = path.join(sample.folder, 'out');
  mkdirSync(out);
  const emit = async () => ociEmitter.emit(sample.plan, OPTIONS, await sample.context(out));
  const target = sample.plan.payload.entries.find(
    (each) => each.path === ('app/hello' as BytePath),
  );
  const file = target?.type === 'file' ? (sample.content.locate(target.digest) as string) : '';
  const bytes = readFileSync(file);
  bytes[69_999] = (bytes[69_999] as number) ^ 1;
  writeFileSync(file, bytes);
  await expect(emit()).rejects.toMatchObject({ code: 'UPORT_INPUT_CHANGED' });
  rmSync(file);
  await expect(emit()).rejects.toThrow();
  expect(readdirSync(out)).toEqual([]);
});

const missing = (tool: string) => spawnSync(tool, ['--version']).error !== undefined;

test.skipIf(missing('skopeo') || missing('umoci'))(
  'skopeo copies all of it, umoci unpacks each platform (apt-get install skopeo umoci)',
  { timeout: 120_000 },
  async () => {
    const { out, sample, index } = await make({ archive: true });
    const run = (command: string, ...args: string[]) => {
      const done = spawnSync(command, args, { cwd: sample.folder, encoding: 'utf8' });
      expect(done.status, done.stderr).toBe(0);
    };
    run('skopeo', 'copy', '-q', '--all', `oci:${out}/oci:latest`, 'oci:copied:latest');
    run(
      'skopeo',
      'copy',
      '-q',
      '--all',
      `oci-archive:${out}/oci-archive.tar:latest`,
      'oci:two:latest',
    );
    run(
      'skopeo',
      'copy',
      '-q',
      `docker-archive:${out}/docker-archive.tar:hello:latest-s390x`,
      'oci:three:latest',
    );
    for (const { platform } of index.manifests) {
      const { architecture, variant } = platform;
      run(
        'skopeo',
        '--override-arch',
        architecture,
        ...(variant ? ['--override-variant', variant] : []),
        'copy',
        '-q',
        `oci:${out}/oci:latest`,
        `oci:${architecture}:one`,
      );
      // Ordinary users cannot give files away, so neither need we.
      run(
        'umoci',
        'unpack',
        '--rootless',
        '--image',
        `${architecture}:one`,
        `bundle-${architecture}`,
      );
      const rootfs = path.join(sample.folder, `bundle-${architecture}`, 'rootfs');
      for (const entry of sample.plan.payload.entries) {
        if (entry.type !== 'file') continue;
        const bytes = readFileSync(path.join(rootfs, entry.path));
        expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(entry.digest);
        expect(statSync(path.join(rootfs, entry.path)).mode & 0o7777).toBe(entry.mode);
      }
      expect(existsSync(path.join(rootfs, '.uport', 'launch'))).toBe(architecture !== 'riscv64');
    }
  },
);
