export * from './cache-folder.ts';
export * from './elf-builder.ts';
export * from './fixtures/index.ts';
export * from './kernels/index.ts';
