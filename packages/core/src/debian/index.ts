export type { DebianContext, DebianSettings } from './context.ts';
export { extractFromDeb, readDebData } from './deb.ts';
export { aptMirrors } from './mirror.ts';
export {
  type DebianPackage,
  type DebianPackageQuery,
  type FoundPackage,
  fetchDebianPackage,
} from './package.ts';
export type { IndexedPackage, PackageName } from './packages-index.ts';
export type { TarEntry } from './untar.ts';
