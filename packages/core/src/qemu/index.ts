export { compareQemuVersions, readEmulatorFile } from './emulator-file.ts';
export type { EmulatorProvider, ProviderContext } from './provider.ts';
export {
  findEmulators,
  PROVIDER_KINDS,
  type ProviderKind,
  parseEmulatorProvider,
  parseStockProvider,
} from './providers.ts';
