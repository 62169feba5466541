// The documents of an added platform, from those of the platform whose layers it gets. All that is
// not changed here stays as it stands.
import type { OciPlatform } from '../model/arch.ts';
import type { Digest } from '../model/digest.ts';
import { LAUNCHER_PATH } from '../oci/launcher-layer.ts';
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../oci/media-types.ts';
import { type Json, rawList } from './image-documents.ts';

/** A layer to be put on top. */
export interface AddedLayer {
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  readonly createdBy: string;
}

export interface DerivedBlob {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/**
 * The config for a host: its platform, the launcher before what starts, the layers on top. Env, user,
 * labels and everything else are the guest's.
 */
export function deriveConfig(
  config: Json,
  platform: OciPlatform,
  layers: readonly AddedLayer[],
  created: string,
): Buffer {
  const { architecture: _a, variant: _v, os: _o, ...rest } = config;
  const rootfs = config.rootfs as Json;
  const diffIds = rootfs.diff_ids as readonly unknown[];
  const history = config.history as readonly unknown[] | undefined;
  return json({
    architecture: platform.architecture,
    ...(platform.variant !== undefined && { variant: platform.variant }),
    os: platform.os,
    ...rest,
    config: launchedConfig(asObject(config.config)),
    rootfs: { ...rootfs, diff_ids: [...diffIds, ...layers.map(({ diffId }) => diffId)] },
    ...(history && {
      history: [...history, ...layers.map(({ createdBy }) => ({ created, created_by: createdBy }))],
    }),
  });
}

/** Without an entrypoint of its own the image starts its Cmd, or what the user names. */
function launchedConfig(config: Json): Json {
  const health = asObject(config.Healthcheck);
  const test = launchedTest(health.Test, config.Shell);
  return {
    ...config,
    Entrypoint: [LAUNCHER_PATH, '--', ...words(config.Entrypoint)],
    ...(test && { Healthcheck: { ...health, Test: test } }),
  };
}

/** The same health check through the launcher: engines start it themselves. */
function launchedTest(test: unknown, shell: unknown): readonly string[] | undefined {
  const [kind, ...rest] = words(test);
  if (kind === 'CMD' && rest.length > 0) return ['CMD', LAUNCHER_PATH, '--', ...rest];
  if (kind !== 'CMD-SHELL' || rest.length === 0) return undefined;
  const [program, ...options] = words(shell);
  const start = program === undefined ? ['/bin/sh', '-c'] : [program, ...options];
  return ['CMD', LAUNCHER_PATH, '--', ...start, ...rest];
}

/** The manifest, in the format of the guest's: engines treat the two formats differently. */
export function deriveManifest(
  manifest: Json,
  config: { readonly digest: Digest; readonly size: number },
  layers: readonly AddedLayer[],
  annotations: Readonly<Record<string, string>>,
): { readonly mediaType: string; readonly bytes: Buffer } {
  const docker = isDocker(manifest);
  const mediaType = docker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const { subject: _s, mediaType: _m, ...rest } = manifest;
  const layerType = docker ? DOCKER_LAYER_GZIP : OCI_LAYER_GZIP;
  const bytes = json({
    schemaVersion: 2,
    mediaType,
    ...rest,
    config: {
      mediaType: docker ? DOCKER_CONFIG : OCI_CONFIG,
      size: config.size,
      digest: config.digest,
    },
    layers: [
      ...rawList(manifest, 'layers'),
      ...layers.map(({ digest, size }) => ({ mediaType: layerType, size, digest })),
    ],
    ...(!docker && { annotations: { ...asObject(manifest.annotations), ...annotations } }),
  });
  return { mediaType, bytes };
}

/** Whether a manifest is of Docker's schema 2; an OCI manifest need not say so of itself. */
function isDocker(manifest: Json): boolean {
  const type = manifest.mediaType ?? asObject(manifest.config).mediaType;
  return type === DOCKER_MANIFEST || type === DOCKER_CONFIG;
}

export interface IndexAddition extends DerivedBlob {
  readonly platform: OciPlatform;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The index with more platforms; one around the manifest, when that was all. It is an OCI index
 * whatever its images are: engines read that with images of either format, and tools that know OCI
 * layouts read nothing else.
 */
export function deriveIndex(
  raw: Json,
  alone: (DerivedBlob & { readonly platform: Json }) | undefined,
  additions: readonly IndexAddition[],
): { readonly mediaType: string; readonly bytes: Buffer } {
  const mediaType = OCI_INDEX;
  const added = additions.map(({ mediaType: type, digest, size, platform, annotations }) => ({
    mediaType: type,
    digest,
    size,
    platform: platformJson(platform),
    annotations,
  }));
  if (alone) {
    const { mediaType: type, digest, size, platform } = alone;
    const manifests = [{ mediaType: type, digest, size, platform }, ...added];
    return { mediaType, bytes: json({ schemaVersion: 2, mediaType, manifests }) };
  }
  const { schemaVersion: _s, mediaType: _m, ...rest } = raw;
  const manifests = [...rawList(raw, 'manifests'), ...added];
  return { mediaType, bytes: json({ schemaVersion: 2, mediaType, ...rest, manifests }) };
}

export function platformJson({ architecture, os, variant }: OciPlatform): Json {
  return { architecture, os, ...(variant !== undefined && { variant }) };
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function words(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
