import { UportError } from '@uport/errors';
import type { NixSigningKey } from '../../nix/signing-key.ts';

export interface NixOptions {
  /** The package's name. None: the app's. */
  readonly pname?: string;
  readonly version: string;
  /** One line, without a full stop. None: one is made from the app's name and CPU. */
  readonly description?: string;
  /** SPDX identifiers, or `unfree`; none says nothing about the licence. */
  readonly licenses: readonly string[];
  /** Where Nix will fetch the NAR from; then it is written beside the folder, to be put there. */
  readonly url?: string;
  /** A binary cache that the package is added to: a folder, `file://`, `https://` or `s3://`. */
  readonly cache?: string;
  /** What signs for the cache. */
  readonly cacheKey?: NixSigningKey;
  /** Programs by the name they are called by; the first is the default. None: the app's own. */
  readonly bins: Readonly<Record<string, string>>;
  /** zstd's level, 1 to 19. */
  readonly level?: number;
}

export const DEFAULT_NIX_OPTIONS: NixOptions = Object.freeze({
  version: '0',
  licenses: Object.freeze([]),
  bins: Object.freeze({}),
});

/** What every Nix can fetch. */
const SCHEMES = ['https:', 'http:', 'file:'];

/** @throws UportError UPORT_NIX_LICENSE_INVALID, UPORT_NIX_URL_INVALID */
export function checkOptions({ licenses, url }: NixOptions): void {
  for (const license of licenses) {
    if (/^[A-Za-z0-9][A-Za-z0-9.+-]*$/.test(license)) continue;
    throw new UportError({
      code: 'UPORT_NIX_LICENSE_INVALID',
      category: 'usage',
      message: `${JSON.stringify(license.slice(0, 200))} is no licence`,
      hint: 'use an SPDX identifier such as MIT, or unfree; give several one by one',
    });
  }
  if (url === undefined) return;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && SCHEMES.includes(parsed.protocol) && !/\s/.test(url)) return;
  throw new UportError({
    code: 'UPORT_NIX_URL_INVALID',
    category: 'usage',
    message: `${JSON.stringify(url.slice(0, 200))} is no address that Nix fetches from`,
    hint: 'use one that begins with https://, http:// or file://',
  });
}
