export type { HostFile, HostFiles } from './file-tree.ts';
export { OLDER_KERNELS, SIMULATED_HOSTS, type SimulatedHost, simulatedHost } from './hosts.ts';
export { testStore } from './kernel-image.ts';
export type { CommandResult, HostReport } from './reports.ts';
export {
  type HostCommand,
  type HostRunOptions,
  missingHost,
  runOnKernel,
} from './run-on-kernel.ts';
