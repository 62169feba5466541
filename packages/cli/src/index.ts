// What a uport.config.ts imports.
export { type AppConfig, defineConfig, type UportConfig } from '@uport/core';
