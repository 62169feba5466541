export type { LibrarySource } from './take-libraries.ts';
