// What is decided about an existing image: plain data, each input pinned by digest.
import type { Digest } from '../model/digest.ts';
import type { LaunchedHost } from '../oci/launcher-layer.ts';
import type { Shim } from '../plan/shims.ts';

export interface KeptPlatform {
  /** Such as `linux/amd64`. */
  readonly platform: string;
  readonly digest: Digest;
}

/** A platform that the image did not have. */
export interface AddedPlatform {
  readonly host: LaunchedHost;
  /** The platform whose layers it gets. */
  readonly from: KeptPlatform;
  /** Programs in whose places the launcher lies. */
  readonly shims?: readonly Shim[];
}

export interface ImagePlan {
  readonly version: 1;
  readonly kind: 'image';
  readonly name: string;
  readonly source: { readonly digest: Digest; readonly mediaType: string };
  readonly kept: readonly KeptPlatform[];
  readonly added: readonly AddedPlatform[];
  /** Seconds since 1970; the time written into what is added. */
  readonly sourceDateEpoch: number;
}
