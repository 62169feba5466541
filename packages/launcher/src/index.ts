export { LAUNCHER_HOSTS, type Launcher, launcherFor, launcherLicense } from './launcher.ts';
export {
  encodeManifest,
  MANIFEST_LIMITS,
  type Manifest,
  type ManifestCpu,
  type ManifestEmulator,
  type ManifestProgram,
  type ManifestUnpacked,
  parseManifest,
} from './manifest.ts';
export { encodeShims, parseShims, type ShimEntry } from './shims.ts';
export {
  encodeSurroundings,
  type LineCodec,
  type ManifestSetting,
  type ManifestSurroundings,
  SURROUNDINGS_LIMITS,
  SurroundingsReader,
} from './surroundings.ts';
