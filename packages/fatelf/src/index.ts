export {
  type FatElf,
  type FatElfInspection,
  type FatElfRecord,
  inspectFatElf,
  type Range,
  readFatElf,
  tableSize,
} from './container.ts';
export type { FatElfReason } from './errors.ts';
export { type ExtractOptions, extractFatElf } from './extract.ts';
export { type GlueInput, type GlueOptions, glueFatElf } from './glue.ts';
export {
  FATELF_MAGIC,
  FATELF_VERSION,
  type FatElfHeader,
  HEADER_SIZE,
  MAX_RECORDS,
  readHeader,
  writeHeader,
} from './header.ts';
export { type FatElfInfo, infoFatElf, type RecordInfo } from './info.ts';
export type { FatElfImage } from './layout.ts';
export { pageSizeOf, SMALLEST_PAGE } from './page-size.ts';
export {
  type RawRecord,
  RECORD_SIZE,
  type RecordIdentity,
  readRecord,
  sameIdentity,
  writeRecord,
} from './record.ts';
export { removeFatElf } from './remove.ts';
export { replaceFatElf } from './replace.ts';
export { type SplitPart, splitFatElf } from './split.ts';
export type { ByteStream } from './stream.ts';
export {
  findTarget,
  formatTarget,
  machineTargetName,
  matchTarget,
  osabiTargetName,
  parseTarget,
  shortTargets,
  type Target,
} from './target.ts';
export { validateFatElf } from './validate.ts';
export { verifyFatElf } from './verify.ts';
