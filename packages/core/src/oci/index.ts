export type { Compression } from './compress.ts';
export type {
  ConfigView,
  Descriptor,
  IndexView,
  ManifestView,
  PlatformView,
  RuntimeView,
} from './documents.ts';
export type { Fault } from './fault.ts';
export {
  type Layout,
  type LayoutImage,
  type LayoutRoot,
  type ReadLayoutOptions,
  readLayout,
} from './layout.ts';
export { type Unpacked, type UnpackOptions, unpackPlatform } from './unpack.ts';
export { type ValidateOptions, validateLayout } from './validate.ts';
