export { addToBinaryCache, type BinaryCacheOptions, type CachedObject } from './add-to-cache.ts';
export { type OpenCache, openCache } from './open-cache.ts';
export type { CacheFile, CacheTransport, CacheUpload } from './transport.ts';
