export * from './cache-folder.ts';
export * from './conformance/index.ts';
export * from './elf-builder.ts';
export * from './emulators/emulator-folder.ts';
export * from './fixtures/index.ts';
export * from './kernels/index.ts';
