export { LAUNCHER_HOSTS, type Launcher, launcherFor } from './launcher.ts';
export {
  encodeManifest,
  MANIFEST_LIMITS,
  type Manifest,
  type ManifestCpu,
  type ManifestEmulator,
  parseManifest,
} from './manifest.ts';
