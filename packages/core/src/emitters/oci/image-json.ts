// The JSON documents of an image (image-spec 1.1), from a plan. Keys come in one fixed order.
import { UportError } from '@uport/errors';
import { type OciPlatform, parseArch } from '../../model/arch.ts';
import { LAUNCHER_PATH } from '../../oci/launcher-layer.ts';
import type { Layer } from '../../oci/layer-writer.ts';
import { REF_NAME } from '../../oci/layout.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts';
import { type BlobDescriptor, referrersTag } from '../../oci/referrers.ts';
import { nativeImageEnvironment } from '../../plan/guest-settings.ts';
import type { HostPlan, ImageSettings, Plan } from '../../plan/plan.ts';
import { isLaunched } from './layers.ts';

/** A layer with the line of history that tells where it came from. */
export interface ImageLayer extends Layer {
  readonly createdBy: string;
}

/** @throws UportError UPORT_OCI_NO_PLATFORM */
export function platformOf(host: string): OciPlatform {
  const { oci } = parseArch(host);
  if (oci) return oci;
  throw new UportError({
    code: 'UPORT_OCI_NO_PLATFORM',
    category: 'usage',
    message: `image platforms have no name for ${host}`,
    hint: `leave it out: container engines know no ${host}`,
  });
}

export function imageConfig(plan: Plan, host: HostPlan, layers: readonly ImageLayer[]): Buffer {
  const platform = platformOf(host.host);
  const created = createdTime(plan);
  return json({
    created,
    architecture: platform.architecture,
    ...(platform.variant !== undefined && { variant: platform.variant }),
    os: platform.os,
    config: runtimeConfig(settingsFor(plan, host), isLaunched(plan, host)),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created, created_by: layer.createdBy })),
  });
}

/** Where every program is the guest's, the config says what the launcher's manifest says elsewhere. */
function settingsFor(plan: Plan, host: HostPlan): ImageSettings {
  const native = host.way === 'native' && host.slices.length === 0 && !isLaunched(plan, host);
  return native ? { ...plan.image, env: nativeImageEnvironment(plan) } : plan.image;
}

function runtimeConfig(image: ImageSettings, launched: boolean): Record<string, unknown> {
  const entrypoint = launched ? [LAUNCHER_PATH, '--', ...image.entrypoint] : image.entrypoint;
  return {
    ...(image.user !== undefined && { User: image.user }),
    ...(image.exposedPorts.length > 0 && {
      ExposedPorts: set(image.exposedPorts.map((port) => (/\//.test(port) ? port : `${port}/tcp`))),
    }),
    ...(image.env.length > 0 && { Env: image.env }),
    ...(entrypoint.length > 0 && { Entrypoint: entrypoint }),
    ...(image.cmd.length > 0 && { Cmd: image.cmd }),
    ...(image.volumes.length > 0 && { Volumes: set(image.volumes) }),
    ...(image.workdir !== '' && { WorkingDir: image.workdir }),
    ...(Object.keys(image.labels).length > 0 && { Labels: sorted(image.labels) }),
    ...(image.stopSignal !== undefined && { StopSignal: image.stopSignal }),
  };
}

export function imageManifest(
  plan: Plan,
  host: HostPlan,
  config: BlobDescriptor,
  layers: readonly ImageLayer[],
): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    annotations: manifestAnnotations(plan, host),
  });
}

export function imageIndex(
  plan: Plan,
  manifests: readonly { readonly host: HostPlan; readonly manifest: BlobDescriptor }[],
): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: manifests.map(({ host, manifest }) => {
      const { architecture, os, variant } = platformOf(host.host);
      return {
        mediaType: OCI_MANIFEST,
        digest: manifest.digest,
        size: manifest.size,
        platform: { architecture, os, ...(variant !== undefined && { variant }) },
        annotations: sorted(hostAnnotations(plan, host)),
      };
    }),
    annotations: sorted({ ...commonAnnotations(plan), ...plan.image.annotations }),
  });
}

/** A layout's `index.json`: the multi-arch index under each of its tags, and the list of its referrers. */
export function layoutIndex(
  index: BlobDescriptor,
  annotations: readonly Readonly<Record<string, string>>[],
  referrers: BlobDescriptor | undefined,
): Buffer {
  const named = ({ digest, size }: BlobDescriptor, names: Readonly<Record<string, string>>) => ({
    mediaType: OCI_INDEX,
    digest,
    size,
    annotations: sorted(names),
  });
  return json({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      ...annotations.map((each) => named(index, each)),
      ...(referrers ? [named(referrers, { [REF_NAME]: referrersTag(index.digest) })] : []),
    ],
  });
}

function manifestAnnotations(plan: Plan, host: HostPlan): Record<string, string> {
  return sorted({
    ...commonAnnotations(plan),
    ...hostAnnotations(plan, host),
    ...plan.image.annotations,
  });
}

function commonAnnotations(plan: Plan): Record<string, string> {
  return {
    'dev.uport.guest': plan.app.guest,
    'org.opencontainers.image.created': createdTime(plan),
    'org.opencontainers.image.title': plan.app.name,
  };
}

function hostAnnotations(plan: Plan, host: HostPlan): Record<string, string> {
  return {
    'dev.uport.guest': plan.app.guest,
    'dev.uport.way': host.way,
    ...('emulator' in host && {
      'dev.uport.emulator': [host.translator, host.emulator]
        .flatMap((each) => (each ? [`${each.kind} ${each.version}`] : []))
        .join(', '),
    }),
  };
}

function createdTime(plan: Plan): string {
  return new Date(plan.sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z');
}

function set(names: readonly string[]): Record<string, object> {
  return Object.fromEntries([...new Set(names)].sort(byCodeUnits).map((name) => [name, {}]));
}

function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => byCodeUnits(a, b)));
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
