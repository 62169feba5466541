export * from './base32.ts';
export * from './hash.ts';
export * from './nar-node.ts';
export * from './nar-reader.ts';
export * from './nar-sources.ts';
export * from './nar-writer.ts';
export * from './store-path.ts';
