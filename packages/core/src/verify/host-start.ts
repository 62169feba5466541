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

/** A host that an artifact is made for. */
export interface HostStart {
  readonly host: Arch;
  /** What runs the app there: `native build`, `qemu-x86_64`. */
  readonly runs: string;
  prepare(context: PrepareContext): Promise<Start>;
}

export type HostStarts = readonly HostStart[];
