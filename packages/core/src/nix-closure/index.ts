export { type LoadNarOptions, loadNarApp } from './load-nar-app.ts';
export { type LoadNixOptions, loadNixApp, type NixImportOptions } from './load-nix-app.ts';
export {
  describeReferences,
  type ReferenceReport,
  type SealedFile,
} from './references/rewrite-references.ts';
export { DEFAULT_STORE_PREFIX } from './references/store-prefix.ts';
