// Manifests and configs of an existing image: checked as far as they are used, the rest kept as it stands.
import {
  type ConfigView,
  type Descriptor,
  type IndexView,
  type ManifestView,
  parseConfig,
  parseIndex,
  parseManifest,
  parseObject,
} from '../oci/documents.ts';
import type { Report } from '../oci/fault.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';

export type Json = Readonly<Record<string, unknown>>;

/** A document's text as it came, for what is derived from it. */
interface Raw {
  readonly raw: Json;
}

function reporter(where: string): Report {
  return (fault) => {
    throw imageFault('UPORT_IMAGE_DAMAGED', where, `${fault.where}: ${fault.message}`, DO_NOT_USE);
  };
}

/** @throws UportError UPORT_IMAGE_DAMAGED */
export function parseDocument(bytes: Buffer, where: string, name = 'document'): Json {
  return parseObject(bytes, name, reporter(where)) as Json;
}

/** @throws UportError UPORT_IMAGE_DAMAGED */
export function parseIndexDocument(bytes: Buffer, where: string, name = 'index'): IndexView & Raw {
  const raw = parseDocument(bytes, where, name);
  return { ...parseIndex(raw, name, reporter(where)), raw };
}

/** @throws UportError UPORT_IMAGE_DAMAGED */
export function parseManifestDocument(
  bytes: Buffer,
  where: string,
  name = 'manifest',
): ManifestView & Raw {
  const raw = parseDocument(bytes, where, name);
  return { ...(parseManifest(raw, name, reporter(where)) as ManifestView), raw };
}

/** @throws UportError UPORT_IMAGE_DAMAGED */
export function parseConfigDocument(
  bytes: Buffer,
  where: string,
  name = 'config',
): ConfigView & Raw {
  const raw = parseDocument(bytes, where, name);
  return { ...(parseConfig(raw, name, reporter(where)) as ConfigView), raw };
}

/** The descriptors of an index or of a manifest's layers as they stand. */
export function rawList(raw: Json, key: 'manifests' | 'layers'): readonly Json[] {
  return raw[key] as readonly Json[];
}

export type { Descriptor };
