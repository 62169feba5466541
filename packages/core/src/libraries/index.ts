export {
  type DebianLibraries,
  type DebianLibrary,
  findDebianLibraries,
} from './find-debian-libraries.ts';
export type { LibrarySource } from './take-libraries.ts';
