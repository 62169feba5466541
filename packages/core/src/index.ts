export { describeMachine, type Elf, type ElfIdentity } from '@uport/elf';
export * from '@uport/errors';
export * as fatElfFiles from '@uport/fatelf/files';
export { LAUNCHER_HOSTS } from '@uport/launcher';
export * from './binfmt/index.ts';
export * from './build.ts';
export * from './closure/index.ts';
export { defineConfig } from './config/define-config.ts';
export type { AppConfig, UportConfig } from './config/schema.ts';
export * from './debian/index.ts';
export * from './doctor/index.ts';
export * from './emitters/emitter.ts';
export * from './emitters/index.ts';
export * from './image/index.ts';
export { type ArtifactKind, artifactKind } from './inspect/artifact-kind.ts';
export {
  describeFatElf,
  type FatElfDescription,
  type FatElfPartDescription,
  type FatElfRecordDescription,
} from './inspect/describe-fatelf.ts';
export { describeLayout, type LayoutDescription } from './inspect/describe-layout.ts';
export { describeUniversal, type UniversalDescription } from './inspect/describe-universal.ts';
export { inspectElf } from './inspect/inspect-elf.ts';
export {
  type ArtifactFault,
  type ValidateArtifactOptions,
  validateArtifact,
} from './inspect/validate-artifact.ts';
export * from './kernels/index.ts';
export * from './libraries/index.ts';
export * from './lock/index.ts';
export { makeFolder } from './make-folder.ts';
export * from './model/arch.ts';
export * from './model/byte-path.ts';
export * from './model/content.ts';
export * from './model/digest.ts';
export * from './model/payload-tree.ts';
export * from './model/progress.ts';
export * from './nix/index.ts';
export * from './nix-cache/index.ts';
export * from './nix-closure/index.ts';
export * from './oci/index.ts';
export * from './plan/arch-matrix.ts';
export * from './plan/plan.ts';
export { type BundleOptions, type BundleResult, bundleQemu } from './qemu/bundle.ts';
export * from './qemu/index.ts';
export * from './registry/index.ts';
export * from './rootfs/index.ts';
export { hostArch } from './run/host-arch.ts';
export { planRun, type RunCommand, type RunOptions } from './run/plan-run.ts';
export { planRunLayout, type RunLayoutOptions } from './run/plan-run-layout.ts';
export { SBOM_FORMATS, type SbomFormat, sbomOf } from './sbom/index.ts';
export { readPlan } from './sbom/read-plan.ts';
export * from './store/index.ts';
export { systemError } from './system-error.ts';
export { type UniversalFault, validateUniversal } from './universal/validate-universal.ts';
export * from './verify/index.ts';
