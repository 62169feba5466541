import { type EmitRequest, emitWith } from './emitter.ts';
import { DEFAULT_FATELF_OPTIONS, type FatelfOptions, fatelfEmitter } from './fatelf/index.ts';
import { DEFAULT_NIX_OPTIONS, type NixOptions, nixEmitter } from './nix/index.ts';
import { DEFAULT_OCI_OPTIONS, type OciOptions, ociEmitter } from './oci/index.ts';
import {
  DEFAULT_UNIVERSAL_OPTIONS,
  type UniversalOptions,
  universalEmitter,
} from './universal/index.ts';

export { type FatelfOptions, fatelfEmitter } from './fatelf/index.ts';
export { type NixOptions, nixEmitter } from './nix/index.ts';
export { type OciOptions, ociEmitter } from './oci/index.ts';
export { type UniversalOptions, universalEmitter } from './universal/index.ts';

/** A multi-arch image as an OCI image layout. */
export function oci(options: Partial<OciOptions> = {}): EmitRequest {
  return emitWith(ociEmitter, { ...DEFAULT_OCI_OPTIONS, ...options });
}

/** One self-running file for every host, or one plain ELF file for each. */
export function universal(options: Partial<UniversalOptions> = {}): EmitRequest {
  return emitWith(universalEmitter, { ...DEFAULT_UNIVERSAL_OPTIONS, ...options });
}

/** A FatELF file with a record for every host. */
export function fatelf(options: Partial<FatelfOptions> = {}): EmitRequest {
  return emitWith(fatelfEmitter, { ...DEFAULT_FATELF_OPTIONS, ...options });
}

/** A Nix package and flake without inputs, with one store path for every host. */
export function nixPackage(options: Partial<NixOptions> = {}): EmitRequest {
  return emitWith(nixEmitter, { ...DEFAULT_NIX_OPTIONS, ...options });
}
