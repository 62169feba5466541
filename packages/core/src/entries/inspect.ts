// Entry point: what programs and artifacts are.
export { describeMachine, type Elf, type ElfIdentity } from '@uport/elf';
export { type ArtifactKind, artifactKind } from '../inspect/artifact-kind.ts';
export {
  describeFatElf,
  type FatElfDescription,
  type FatElfPartDescription,
  type FatElfRecordDescription,
} from '../inspect/describe-fatelf.ts';
export { describeLayout, type LayoutDescription } from '../inspect/describe-layout.ts';
export { describeUniversal, type UniversalDescription } from '../inspect/describe-universal.ts';
export { inspectElf } from '../inspect/inspect-elf.ts';
