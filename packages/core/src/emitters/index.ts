import type { Emitter } from './emitter.ts';
import { ociEmitter } from './oci/index.ts';

export { DEFAULT_OCI_OPTIONS, type OciOptions, ociEmitter } from './oci/index.ts';

/** Every emitter there is. */
export const EMITTERS: readonly Emitter<never>[] = Object.freeze([ociEmitter]);
