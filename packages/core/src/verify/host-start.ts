import type { CpioEntry } from '../kernels/cpio.ts';
import type { KernelCommand } from '../kernels/init-script.ts';
import type { Arch } from '../model/arch.ts';
import type { Start } from './observe.ts';
import type { SimulatedHost } from './simulated-host.ts';

export interface PrepareContext {
  readonly simulated: SimulatedHost;
  readonly args: readonly string[];
  /** An empty folder of this start's own. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

export type OnKernelContext = Omit<PrepareContext, 'simulated'>;

/** What a machine with the host's own kernel runs: its files, and the command. */
export interface KernelStart {
  /** Parents first. */
  readonly entries: readonly CpioEntry[];
  /** Characters stand for bytes (Latin-1); no user named is the caller's. */
  readonly command: Omit<KernelCommand, 'seconds' | 'uid' | 'gid'> &
    Partial<Pick<KernelCommand, 'uid' | 'gid'>>;
}

/** A host that an artifact is made for. */
export interface HostStart {
  readonly host: Arch;
  /** What runs the app there: `native build`, `qemu-x86_64`. */
  readonly runs: string;
  /** An emulator other than QEMU that is tried first: the launcher then tells what it took. */
  readonly translator?: string;
  prepare(context: PrepareContext): Promise<Start>;
  onKernel(context: OnKernelContext): Promise<KernelStart>;
}

export type HostStarts = readonly HostStart[];
