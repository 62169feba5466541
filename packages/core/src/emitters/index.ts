import { type EmitRequest, emitWith } from './emitter.ts';
import { DEFAULT_OCI_OPTIONS, type OciOptions, ociEmitter } from './oci/index.ts';

export { type OciOptions, ociEmitter } from './oci/index.ts';

/** A multi-arch image as an OCI image layout. */
export function oci(options: Partial<OciOptions> = {}): EmitRequest {
  return emitWith(ociEmitter, { ...DEFAULT_OCI_OPTIONS, ...options });
}
