// The builder lives beside the reader: packages below this one (elf, fatelf, core) test with it too.
export {
  buildElf,
  type ElfDynamicSpec,
  type ElfNoteSpec,
  type ElfSpec,
  type ExtraSegment,
} from '@uport/elf/testing';
