export { LAUNCHER_HOSTS, type Launcher, launcherFor, launcherLicense } from './launcher.ts';
export {
  encodeManifest,
  encodeTranslator,
  isFileName,
  MANIFEST_LIMITS,
  type Manifest,
  type ManifestCpu,
  type ManifestEmulator,
  type ManifestProgram,
  type ManifestTranslator,
  type ManifestUnpacked,
  parseManifest,
  parseTranslator,
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
