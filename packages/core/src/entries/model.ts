// Entry point: CPUs, digests, paths, errors. Nothing here reads or writes a file.
export * from '@uport/errors';
export { LAUNCHER_HOSTS } from '@uport/launcher';
export * from '../model/arch.ts';
export * from '../model/byte-path.ts';
export * from '../model/content.ts';
export * from '../model/digest.ts';
export * from '../model/payload-tree.ts';
export * from '../model/progress.ts';
export * from '../plan/arch-matrix.ts';
export { hostArch } from '../run/host-arch.ts';
export { systemError } from '../system-error.ts';
