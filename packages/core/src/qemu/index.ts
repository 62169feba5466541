export {
  type EmulatorChoice,
  parseEmulatorChoice,
  TRANSLATOR_RULES,
  type TranslatorRule,
} from '../translators/rules.ts';
export { compareQemuVersions, readEmulatorFile } from './emulator-file.ts';
export type { EmulatorProvider, ProviderContext } from './provider.ts';
export {
  findEmulators,
  PROVIDER_KINDS,
  type ProviderKind,
  parseEmulatorProvider,
  parseStockProvider,
} from './providers.ts';
