export type { ElfAbi, FloatAbi, MipsAbi } from './abi.ts';
export { type ByteSource, bytesSource, partOf } from './byte-source.ts';
export { type DlopenNote, readDlopenNotes } from './dlopen-notes.ts';
export type { AddressRange, ElfDynamic } from './dynamic.ts';
export {
  dynamicStringsPlace,
  readDynamicStringBytes,
  readDynamicStrings,
} from './dynamic-strings.ts';
export { type Elf, type Linkage, readElf, readElfIdentity } from './elf.ts';
export { type ElfIdentity, ET_CORE, ET_DYN, ET_EXEC, ET_REL, headerSize } from './header.ts';
export { describeMachine, MACHINE_NAMES } from './machine.ts';
export type { AbiTag, ElfNotes, GnuProperty } from './notes.ts';
export {
  type FileRange,
  type ProgramHeader,
  PT_DYNAMIC,
  PT_INTERP,
  PT_LOAD,
  PT_NOTE,
} from './program-header.ts';
export {
  type NeededVersions,
  readSymbolVersions,
  type SymbolVersions,
  type VersionNeed,
} from './symbol-versions.ts';
