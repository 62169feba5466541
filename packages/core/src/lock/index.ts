export {
  compareLocks,
  describeChange,
  EMPTY_LOCK,
  encodeLock,
  LOCK_NAME,
  type Lock,
  type LockChange,
  type LockedEmulator,
  type LockedImage,
  type LockedPackage,
  type LockedTranslator,
  lockOfPlan,
  mergeLocks,
  parseLock,
} from './lock.ts';
export { type LockOptions, lockedProvider } from './locked-provider.ts';
