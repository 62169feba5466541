export { type LoadNixOptions, loadNixApp, type NixImportOptions } from './load-nix-app.ts';
