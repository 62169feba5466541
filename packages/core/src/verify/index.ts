export {
  type HostVerdict,
  type Verification,
  type VerifyOptions,
  verifyArtifact,
} from './verify-artifact.ts';
