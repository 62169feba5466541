export { appOptions, type ConfiguredOptions } from './app-options.ts';
export {
  type BuildConfigOptions,
  type BuiltApp,
  type BuiltConfig,
  buildConfig,
  type ConfigWork,
  updateLock,
} from './build-config.ts';
export { defineConfig } from './define-config.ts';
export {
  CONFIG_NAMES,
  findConfig,
  type LoadedApp,
  type LoadedConfig,
  loadConfig,
} from './load-config.ts';
export { type AppConfig, configJsonSchema, type UportConfig } from './schema.ts';
