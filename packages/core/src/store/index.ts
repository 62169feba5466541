export {
  type Collected,
  type CollectOptions,
  clearStore,
  collectStore,
  listRunFolders,
  listStore,
  type RunFolder,
  type StoredBlob,
} from './maintenance.ts';
export { type PutOptions, Store } from './store.ts';
