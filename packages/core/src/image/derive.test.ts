import { describe, expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { deriveConfig, deriveIndex, deriveManifest } from './derive.ts';
import { DOCKER, OCI } from './testing/sample-image.ts';

const digest = (letter: string) => sha256Digest(letter.repeat(64));
const LAYER = { digest: digest('a'), size: 5, diffId: digest('b'), createdBy: 'uport: test' };
const CREATED = '1970-01-01T00:00:00Z';

const RUNTIME = {
  User: 'app:app',
  Env: ['PATH=/bin', 'A=b c'],
  Cmd: ['one'],
  WorkingDir: '/data',
  Labels: { x: 'y' },
  Volumes: { '/v': {} },
  StopSignal: 'SIGUSR1',
  ExposedPorts: { '80/tcp': {} },
  OnBuild: ['RUN true'],
  ArgsEscaped: true,
};

function derived(runtime: Record<string, unknown>): Record<string, unknown> {
  const config = {
    architecture: 'arm',
    variant: 'v7',
    os: 'linux',
    author: 'somebody',
    container_config: { Cmd: ['x'] },
    config: runtime,
    rootfs: { type: 'layers', diff_ids: [digest('c')] },
    history: [{ created_by: 'base' }],
  };
  const bytes = deriveConfig(config, { os: 'linux', architecture: 'riscv64' }, [LAYER], CREATED);
  return JSON.parse(bytes.toString());
}
const runtimeOf = (runtime: Record<string, unknown>) =>
  derived(runtime).config as Record<string, unknown>;

describe('the config', () => {
  test('keeps all that does not tell the platform or what starts', () => {
    const { config, ...rest } = derived({ ...RUNTIME, Entrypoint: ['start'] });
    expect(config).toEqual({ ...RUNTIME, Entrypoint: ['/.uport/launch', '--', 'start'] });
    expect(rest).toEqual({
      architecture: 'riscv64',
      os: 'linux',
      author: 'somebody',
      container_config: { Cmd: ['x'] },
      rootfs: { type: 'layers', diff_ids: [digest('c'), digest('b')] },
      history: [{ created_by: 'base' }, { created: CREATED, created_by: 'uport: test' }],
    });
  });

  test('starts Cmd where there is no entrypoint', () => {
    for (const Entrypoint of [undefined, null, []]) {
      expect(runtimeOf({ ...RUNTIME, Entrypoint })).toMatchObject({
        Entrypoint: ['/.uport/launch', '--'],
        Cmd: ['one'],
      });
    }
  });

  test.each([
    [
      ['CMD', '/bin/check', '-q'],
      ['CMD', '/.uport/launch', '--', '/bin/check', '-q'],
    ],
    [
      ['CMD-SHELL', 'a || b'],
      ['CMD', '/.uport/launch', '--', '/bin/sh', '-c', 'a || b'],
    ],
    [['NONE'], ['NONE']],
    [[], []],
  ])('checks the health by %j through the launcher', (Test, expected) => {
    const Healthcheck = { Test, Interval: 7 };
    expect(runtimeOf({ Healthcheck }).Healthcheck).toEqual({ Test: expected, Interval: 7 });
  });

  test('checks the health with the shell of the image', () => {
    const Healthcheck = { Test: ['CMD-SHELL', 'x'] };
    expect(runtimeOf({ Healthcheck, Shell: ['/bin/bash', '-ec'] }).Healthcheck).toEqual({
      Test: ['CMD', '/.uport/launch', '--', '/bin/bash', '-ec', 'x'],
    });
  });
});

describe('the manifest', () => {
  const guest = (types: typeof OCI, more = {}) => ({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: digest('d'), size: 1 },
    layers: [{ mediaType: types.layer, digest: digest('e'), size: 2, annotations: { toc: 'x' } }],
    ...more,
  });

  test.each([
    ['OCI', OCI],
    ['Docker', DOCKER],
  ])('is of the format of the guest’s: %s', (_, types) => {
    const config = { digest: digest('f'), size: 3 };
    const made = deriveManifest(guest(types), config, [LAYER], { a: 'b' });
    expect(made.mediaType).toBe(types.manifest);
    expect(JSON.parse(made.bytes.toString())).toEqual({
      ...guest(types),
      config: { mediaType: types.config, ...config },
      layers: [
        ...guest(types).layers,
        { mediaType: types.layer, digest: LAYER.digest, size: LAYER.size },
      ],
      ...(types === OCI && { annotations: { a: 'b' } }),
    });
  });

  test('keeps annotations, and is no referrer of what the guest’s was', () => {
    const more = { annotations: { kept: 'yes' }, subject: { digest: digest('9') } };
    const made = deriveManifest(guest(OCI, more), { digest: digest('f'), size: 3 }, [], { a: 'b' });
    const value = JSON.parse(made.bytes.toString());
    expect(value.annotations).toEqual({ kept: 'yes', a: 'b' });
    expect(value).not.toHaveProperty('subject');
  });
});

test('the index keeps every entry as it stands', () => {
  const strange = { mediaType: 'application/vnd.other+json', digest: 'x', size: 1, unknown: [1] };
  const raw = { schemaVersion: 2, manifests: [strange], annotations: { a: 'b' }, extra: true };
  const platform = { os: 'linux' as const, architecture: 'riscv64' };
  const addition = {
    mediaType: OCI.manifest,
    digest: digest('1'),
    size: 2,
    platform,
    annotations: {},
  };
  const { mediaType, bytes } = deriveIndex(raw, undefined, [addition]);
  expect(mediaType).toBe(OCI.index);
  expect(JSON.parse(bytes.toString())).toEqual({
    ...raw,
    mediaType: OCI.index,
    manifests: [strange, addition],
  });
});
