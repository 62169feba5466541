import type { EmitFlags } from './emit-flags.ts';
import { nixFlags } from './nix-flags.ts';
import { ociFlags } from './oci-flags.ts';
import { fatelfFlags, universalFlags } from './universal-flags.ts';

/** The emitters that `--emit` knows. */
export const EMIT_FLAGS: readonly EmitFlags[] = [ociFlags, universalFlags, fatelfFlags, nixFlags];

export { nixFlags, ociFlags, universalFlags };
