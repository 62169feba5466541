export { type CpioEntry, cpioArchive } from './cpio.ts';
export { debianBusybox, debianKernel } from './debian-file.ts';
export {
  KERNEL_MACHINES,
  type KernelMachine,
  type KernelPackage,
  machineArguments,
  memoryFor,
} from './kernel-machines.ts';
