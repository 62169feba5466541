export { type BuildRootfsOptions, buildRootfs } from './build-rootfs.ts';
export {
  assembleRootfs,
  type CreatedRootfs,
  type CreateRootfsOptions,
  createRootfs,
  ROOTFS_VARIANTS,
  type Rootfs,
  type RootfsOptions,
  type RootfsVariant,
} from './create-rootfs.ts';
export { type EnterRootfsOptions, planEnterRootfs } from './enter-rootfs.ts';
