import type { BinfmtEntry } from '../binfmt/status.ts';
import type { Arch } from '../model/arch.ts';
import type { ExecWays } from './exec-ways.ts';
import type { KernelFacts } from './kernel-facts.ts';
import type { Place } from './places.ts';

/** A registration of the system's binfmt_misc for a guest. */
export interface ServingRegistration {
  readonly guest: string;
  readonly entry: BinfmtEntry;
  /** Why programs of that guest do not run rightly by it. */
  readonly faults: readonly string[];
}

export interface HostReport {
  readonly host: Arch;
  readonly guests: readonly Arch[];
  readonly kernel: KernelFacts;
  readonly binfmt: {
    readonly mounted: boolean;
    readonly enabled: boolean;
    readonly registrations: readonly ServingRegistration[];
  };
  /** What keeps ordinary users from making user namespaces; empty when they may. */
  readonly userNamespaceBlockers: readonly string[];
  readonly ways: ExecWays;
  readonly places: readonly Place[];
  /** CPUs beside the host's own whose programs the kernel may run. */
  readonly compatible: readonly { readonly arch: Arch; readonly runs: boolean | undefined }[];
  /** What to do, most useful first. */
  readonly advice: readonly string[];
}
