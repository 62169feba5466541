export {
  type Collected,
  type CollectOptions,
  clearStore,
  collectStore,
  listStore,
  type StoredBlob,
} from './maintenance.ts';
export { type PutOptions, Store } from './store.ts';
