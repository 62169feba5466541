// Entry point: the faults of artifacts.
export {
  type ArtifactFault,
  type ValidateArtifactOptions,
  validateArtifact,
} from '../inspect/validate-artifact.ts';
export { type UniversalFault, validateUniversal } from '../universal/validate-universal.ts';
