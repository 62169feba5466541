export {
  BINFMT_FORMATS,
  type BinfmtFile,
  type BinfmtFormat,
  binfmtLine,
  parseBinfmtFormat,
} from './formats.ts';
export { foreignSubjects } from './guests.ts';
export { type PrivateBinfmtOptions, planPrivateBinfmt } from './private.ts';
export {
  BINFMT_SUBJECTS,
  type BinfmtRegistration,
  type BinfmtSubject,
  binfmtInterpreterName,
  binfmtName,
  binfmtRegistration,
  DEFAULT_BINFMT_FLAGS,
  DEFAULT_BINFMT_PREFIX,
  parseBinfmtSubject,
} from './registration.ts';
export { type BinfmtRule, elfBinfmtRule, FATELF_BINFMT_RULE, matchesBinfmtRule } from './rule.ts';
export {
  BINFMT_FOLDER,
  type BinfmtEntry,
  type BinfmtStatus,
  readBinfmtStatus,
  servedSubjects,
} from './status.ts';
export { type RegisterOptions, registerBinfmt, unregisterBinfmt } from './system.ts';
