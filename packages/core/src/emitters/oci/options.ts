import { UportError } from '@uport/errors';
import { type Compression, MAX_LEVEL } from '../../oci/compress.ts';

export interface OciOptions {
  /** Of the layers. */
  readonly compression: Compression;
  /** gzip 1 to 9, zstd 1 to 19. */
  readonly level?: number;
  /** Names of the image inside the layout. */
  readonly tags: readonly string[];
  /** Attach SBOMs (SPDX and CycloneDX) to the image, as its referrers. */
  readonly sbom: boolean;
  /** Also write `oci-archive.tar` and `docker-archive.tar`. */
  readonly archive: boolean;
}

export const DEFAULT_OCI_OPTIONS: OciOptions = Object.freeze({
  compression: 'gzip',
  tags: Object.freeze(['latest']),
  archive: false,
  sbom: true,
});

/** @throws UportError UPORT_OCI_TAG_INVALID, UPORT_OCI_LEVEL_INVALID */
export function checkOptions(options: OciOptions): void {
  checkTags(options.tags);
  const { level, compression } = options;
  const max = MAX_LEVEL[compression];
  if (level !== undefined && !(Number.isInteger(level) && level >= 1 && level <= max)) {
    throw new UportError({
      code: 'UPORT_OCI_LEVEL_INVALID',
      category: 'usage',
      message: `${compression} has no level ${level}`,
      hint: `use 1 to ${max}`,
    });
  }
}

/** @throws UportError UPORT_OCI_TAG_INVALID */
export function checkTags(tags: readonly string[]): void {
  for (const tag of tags) {
    if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(tag)) continue;
    throw badTag(
      `${JSON.stringify(tag.slice(0, 200))} cannot be a tag`,
      'use letters, digits, _, . and -, at most 128, not beginning with . or -',
    );
  }
  if (tags.length === 0) throw badTag('an image needs a tag', 'use latest');
  if (new Set(tags).size < tags.length) {
    throw badTag('a tag is given twice', 'give each once');
  }
}

function badTag(message: string, hint: string): UportError {
  return new UportError({ code: 'UPORT_OCI_TAG_INVALID', category: 'usage', message, hint });
}
