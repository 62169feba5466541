export {
  buildElf,
  type ElfDynamicSpec,
  type ElfNoteSpec,
  type ElfSpec,
  type ExtraSegment,
} from './elf-builder.ts';
