export {
  BUILDING_CASES,
  type BuildingCase,
  type BuildOutcome,
  type BuildRequest,
  type EmitterUnderTest,
  treeDigest,
} from './building.ts';
export {
  AWKWARD_ARGUMENTS,
  NON_UTF8_ARGUMENTS,
  type ProbeArtifact,
  RUNNING_CASES,
  type RunningCase,
} from './running.ts';
