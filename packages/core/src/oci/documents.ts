// The JSON documents of image-spec 1.1 as typed values. Each parser reports what is wrong and
// answers what can be used all the same.
import { type Digest, parseDigest } from '../model/digest.ts';
import type { Report } from './fault.ts';
import {
  DOCKER_CONFIG,
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';

/** A reference to a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform?: PlatformView;
  readonly artifactType?: string;
}

/** A platform as a document states it; any text. */
export interface PlatformView {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface IndexView {
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ManifestView {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  /** What the artifact is attached to. */
  readonly subject?: Descriptor;
}

export interface ConfigView {
  readonly platform: PlatformView;
  readonly diffIds: readonly Digest[];
  /** Entries of the history that made a layer; undefined when there is no history. */
  readonly layersInHistory?: number;
  readonly created?: string;
  readonly runtime: RuntimeView;
}

/** What a container of the image runs with. */
export interface RuntimeView {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal?: string;
}

type Json = Readonly<Record<string, unknown>>;

const INDEX_TYPES: readonly string[] = [OCI_INDEX, DOCKER_INDEX];
const MANIFEST_TYPES: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
const CONFIG_TYPES: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];

export function isIndexType(mediaType: string): boolean {
  return INDEX_TYPES.includes(mediaType);
}

export function isManifestType(mediaType: string): boolean {
  return MANIFEST_TYPES.includes(mediaType);
}

export function isConfigType(mediaType: string): boolean {
  return CONFIG_TYPES.includes(mediaType);
}

/** JSON text (RFC 8259, UTF-8 without a mark) that is an object. */
export function parseObject(bytes: Uint8Array, where: string, report: Report): Json | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
    report({ code: 'UPORT_OCI_JSON', where, message: 'is not a JSON object' });
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    report({ code: 'UPORT_OCI_JSON', where, message: 'is not JSON in UTF-8' });
  }
  return undefined;
}

export function parseIndex(value: Json, where: string, report: Report): IndexView {
  checkHead(value, INDEX_TYPES, where, report);
  const manifests = descriptors(value.manifests, `${where} manifests`, report);
  return { manifests, annotations: strings(value.annotations, `${where} annotations`, report) };
}

export function parseManifest(
  value: Json,
  where: string,
  report: Report,
): ManifestView | undefined {
  checkHead(value, MANIFEST_TYPES, where, report);
  const config = descriptor(value.config, `${where} config`, report);
  const layers = descriptors(value.layers, `${where} layers`, report);
  const annotations = strings(value.annotations, `${where} annotations`, report);
  const artifactType = text(value.artifactType, `${where} artifactType`, report);
  const subject =
    value.subject === undefined ? undefined : descriptor(value.subject, `${where} subject`, report);
  if (!config) return undefined;
  return {
    config,
    layers,
    annotations,
    ...(artifactType !== undefined && { artifactType }),
    ...(subject && { subject }),
  };
}

export function parseConfig(value: Json, where: string, report: Report): ConfigView | undefined {
  const platform = parsePlatform(value, where, report);
  const rootfs = isObject(value.rootfs) ? value.rootfs : {};
  if (rootfs.type !== 'layers') {
    field(report, `${where} rootfs.type`, 'is not "layers"');
  }
  const diffIds = array(rootfs.diff_ids, `${where} rootfs.diff_ids`, report).flatMap((each, i) => {
    const digest = digestOf(each);
    if (!digest) field(report, `${where} rootfs.diff_ids[${i}]`, 'is not a sha256 digest');
    return digest ? [digest] : [];
  });
  const history =
    value.history === undefined ? undefined : array(value.history, `${where} history`, report);
  const created = text(value.created, `${where} created`, report);
  if (created !== undefined && !isTime(created)) {
    field(report, `${where} created`, 'is not a date and time of RFC 3339');
  }
  const runtime = parseRuntime(value.config, `${where} config`, report);
  if (!platform) return undefined;
  return {
    platform,
    diffIds,
    ...(history && {
      layersInHistory: history.filter((each) => !(isObject(each) && each.empty_layer === true))
        .length,
    }),
    ...(created !== undefined && { created }),
    runtime,
  };
}

function parseRuntime(value: unknown, where: string, report: Report): RuntimeView {
  if (value !== undefined && value !== null && !isObject(value)) {
    field(report, where, 'is not an object');
  }
  const config = isObject(value) ? value : {};
  const list = (key: string): string[] => {
    if (config[key] === undefined || config[key] === null) return [];
    return array(config[key], `${where}.${key}`, report).filter((each): each is string => {
      if (typeof each === 'string') return true;
      field(report, `${where}.${key}`, 'holds something that is not text');
      return false;
    });
  };
  const keys = (key: string): string[] => {
    const set = config[key];
    if (set === undefined || set === null) return [];
    if (isObject(set)) return Object.keys(set);
    field(report, `${where}.${key}`, 'is not an object');
    return [];
  };
  const env = list('Env');
  if (env.some((each) => !/^[^=]+=/.test(each))) {
    field(report, `${where}.Env`, 'holds an entry that is not NAME=VALUE');
  }
  const stopSignal = text(config.StopSignal, `${where}.StopSignal`, report);
  return {
    entrypoint: list('Entrypoint'),
    cmd: list('Cmd'),
    env,
    workdir: text(config.WorkingDir, `${where}.WorkingDir`, report) ?? '',
    user: text(config.User, `${where}.User`, report) ?? '',
    labels: strings(config.Labels ?? undefined, `${where}.Labels`, report),
    exposedPorts: keys('ExposedPorts'),
    volumes: keys('Volumes'),
    ...(stopSignal !== undefined && { stopSignal }),
  };
}

function parsePlatform(value: Json, where: string, report: Report): PlatformView | undefined {
  const { os, architecture } = value;
  const variant = text(value.variant, `${where} variant`, report);
  if (typeof os === 'string' && os !== '' && typeof architecture === 'string' && architecture) {
    return { os, architecture, ...(variant !== undefined && { variant }) };
  }
  field(report, where, 'does not name its os and architecture');
  return undefined;
}

function checkHead(
  value: Json,
  mediaTypes: readonly string[],
  where: string,
  report: Report,
): void {
  if (value.schemaVersion !== 2) field(report, `${where} schemaVersion`, 'is not 2');
  const { mediaType } = value;
  if (mediaType !== undefined && !(mediaTypes as readonly unknown[]).includes(mediaType)) {
    report({
      code: 'UPORT_OCI_MEDIA_TYPE',
      where: `${where} mediaType`,
      message: `is ${shown(mediaType)}, not ${mediaTypes[0]}`,
    });
  }
}

function descriptors(value: unknown, where: string, report: Report): Descriptor[] {
  return array(value, where, report).flatMap((each, i) => {
    const parsed = descriptor(each, `${where}[${i}]`, report);
    return parsed ? [parsed] : [];
  });
}

function descriptor(value: unknown, where: string, report: Report): Descriptor | undefined {
  if (!isObject(value)) {
    field(report, where, 'is not a descriptor');
    return undefined;
  }
  const { mediaType, size } = value;
  const digest = digestOf(value.digest);
  const typed = typeof mediaType === 'string' && /^[\w.+-]{1,127}\/[\w.+-]{1,127}$/.test(mediaType);
  const sized = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (!typed) field(report, `${where}.mediaType`, 'is not a media type');
  if (!digest) field(report, `${where}.digest`, 'is not a sha256 digest');
  if (!sized) field(report, `${where}.size`, 'is not a size in bytes');
  const platform =
    value.platform === undefined
      ? undefined
      : isObject(value.platform)
        ? parsePlatform(value.platform, `${where}.platform`, report)
        : void field(report, `${where}.platform`, 'is not an object');
  const annotations = strings(value.annotations, `${where}.annotations`, report);
  const artifactType = text(value.artifactType, `${where}.artifactType`, report);
  if (!typed || !digest || !sized) return undefined;
  return {
    mediaType,
    digest,
    size,
    annotations,
    ...(platform && { platform }),
    ...(artifactType !== undefined && { artifactType }),
  };
}

function digestOf(value: unknown): Digest | undefined {
  const good = typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value);
  return good ? parseDigest(value) : undefined;
}

function strings(value: unknown, where: string, report: Report): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) {
    field(report, where, 'is not an object');
    return {};
  }
  const good = Object.entries(value).filter((each): each is [string, string] => {
    if (typeof each[1] === 'string') return true;
    field(report, `${where}[${shown(each[0])}]`, 'is not text');
    return false;
  });
  return Object.fromEntries(good);
}

function array(value: unknown, where: string, report: Report): readonly unknown[] {
  if (Array.isArray(value)) return value;
  field(report, where, 'is not a list');
  return [];
}

function text(value: unknown, where: string, report: Report): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  field(report, where, 'is not text');
  return undefined;
}

function field(report: Report, where: string, message: string): undefined {
  report({ code: 'UPORT_OCI_FIELD', where, message });
}

function isTime(value: string): boolean {
  return (
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 100);
}
