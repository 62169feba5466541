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
