export {
  buildElf,
  type ElfDynamicSpec,
  type ElfNoteSpec,
  type ElfSpec,
  type ExtraSegment,
} from './elf-builder.ts';
export { GUESTS, type GuestFormat } from './guests.ts';
