// Reads what an existing image is made of: its index, the indexes in it, and every manifest.
import type { PlatformView } from '../oci/documents.ts';
import { isConfigType, isIndexType, isManifestType } from '../oci/documents.ts';
import { isForeignLayer } from '../oci/media-types.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';
import {
  type Descriptor,
  type Json,
  parseConfigDocument,
  parseIndexDocument,
  parseManifestDocument,
  rawList,
} from './image-documents.ts';
import type { BlobClaim, ImageSource } from './image-source.ts';

/** A document of an image with its bytes as they came. */
export interface SourceDocument extends BlobClaim {
  readonly bytes: Buffer;
  readonly isIndex: boolean;
}

/** The image of one platform. */
export interface SourcePlatform {
  readonly descriptor: Descriptor;
  /** The entry of the index that names it, as it stands; none when the input is this image alone. */
  readonly entry: Json | undefined;
  readonly platform: PlatformView;
  readonly manifest: ReturnType<typeof parseManifestDocument>;
}

export interface SourceImage {
  readonly source: ImageSource;
  readonly root: SourceDocument;
  /** All manifests and indexes, each once, each after those that it names: the order to push them in. */
  readonly documents: readonly SourceDocument[];
  /** In the order of the index. */
  readonly platforms: readonly SourcePlatform[];
  /** What the manifests name besides: configs and layers, each once. Layers that lie elsewhere are not there. */
  readonly blobs: readonly BlobClaim[];
}

const VISITS_MAX = 1000;
const DEPTH_MAX = 4;
const LAYERS_MAX = 500;
const CACHED_BYTES_MAX = 64 << 20;

/**
 * Reads an image's documents, not its layers.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*
 */
export async function readSourceImage(source: ImageSource): Promise<SourceImage> {
  const documents = new Map<string, SourceDocument>();
  const blobs = new Map<string, BlobClaim>();
  const platforms: SourcePlatform[] = [];
  let visits = 0;
  let bytesHeld = 0;

  const load = async (claim: BlobClaim, isIndex: boolean): Promise<SourceDocument> => {
    const bytes = await source.document(claim, 'manifest');
    bytesHeld += bytes.length;
    if (bytesHeld > CACHED_BYTES_MAX) throw tooMany(source, 'its manifests have more than 64 MiB');
    const { mediaType, digest, size } = claim;
    return { mediaType, digest, size, bytes, isIndex };
  };
  const claimBlob = (claim: BlobClaim): void => {
    const known = blobs.get(claim.digest);
    if (known && known.size !== claim.size) {
      throw imageFault(
        'UPORT_IMAGE_SIZE',
        source.name,
        `${claim.digest} has two sizes, ${known.size} and ${claim.size}`,
        DO_NOT_USE,
      );
    }
    if (!known) blobs.set(claim.digest, claim);
  };
  const visit = async (descriptor: Descriptor, entry: Json | undefined, depth: number) => {
    if (++visits > VISITS_MAX || depth > DEPTH_MAX) {
      throw tooMany(
        source,
        `it has more than ${VISITS_MAX} manifests, or indexes more than ${DEPTH_MAX} deep`,
      );
    }
    const { digest, mediaType } = descriptor;
    if (isIndexType(mediaType)) {
      const document = documents.get(digest) ?? (await load(descriptor, true));
      const { manifests, raw } = parseIndexDocument(document.bytes, source.name, digest);
      const entries = rawList(raw, 'manifests');
      for (const [i, each] of manifests.entries()) await visit(each, entries[i], depth + 1);
      documents.set(digest, document);
      return;
    }
    const document = documents.get(digest) ?? (await load(descriptor, false));
    documents.set(digest, document);
    // A manifest of a kind that nobody here knows is kept as it is.
    if (!isManifestType(mediaType)) return;
    const manifest = parseManifestDocument(document.bytes, source.name, digest);
    if (manifest.layers.length > LAYERS_MAX) {
      throw tooMany(source, `${digest} has more than ${LAYERS_MAX} layers`);
    }
    for (const claim of [manifest.config, ...manifest.layers]) {
      if (!isForeignLayer(claim.mediaType)) claimBlob(claim);
    }
    const platform = descriptor.platform ?? (await statedPlatform(source, manifest));
    if (!platform || !isConfigType(manifest.config.mediaType)) return;
    platforms.push({ descriptor, entry, platform, manifest });
  };
  const root = { ...source.root, annotations: {} };
  if (!isIndexType(root.mediaType) && !isManifestType(root.mediaType)) {
    throw imageFault(
      'UPORT_IMAGE_TYPE',
      source.name,
      `it is of type ${root.mediaType.slice(0, 100) || '(none)'}, which is neither a manifest nor an index`,
      'give an OCI or Docker image',
    );
  }
  await visit(root, undefined, 0);
  return {
    source,
    root: documents.get(root.digest) as SourceDocument,
    documents: [...documents.values()],
    platforms,
    blobs: [...blobs.values()],
  };
}

/** Of a manifest that no index describes. */
async function statedPlatform(
  source: ImageSource,
  manifest: ReturnType<typeof parseManifestDocument>,
): Promise<PlatformView | undefined> {
  if (!isConfigType(manifest.config.mediaType)) return undefined;
  return (await readConfig(source, manifest)).platform;
}

export async function readConfig(
  source: ImageSource,
  manifest: ReturnType<typeof parseManifestDocument>,
): Promise<ReturnType<typeof parseConfigDocument>> {
  const bytes = await source.document(manifest.config, 'config');
  const config = parseConfigDocument(bytes, source.name, manifest.config.digest);
  if (config.diffIds.length === manifest.layers.length) return config;
  throw imageFault(
    'UPORT_IMAGE_DAMAGED',
    source.name,
    `a manifest has ${manifest.layers.length} layers, its config ${config.diffIds.length} diff_ids`,
    DO_NOT_USE,
  );
}

function tooMany(source: ImageSource, message: string) {
  return imageFault('UPORT_IMAGE_TOO_MANY', source.name, message, DO_NOT_USE);
}
