import type { UportConfig } from './schema.ts';

/** Gives a configuration its type; returns it as it is. */
export function defineConfig(config: UportConfig): UportConfig {
  return config;
}
