// Another host's programs on this machine: its CPU's emulator runs them, the launcher sees to it that
// their children are run so too.
import { findInterpreters, storedLauncher } from '../binfmt/interpreters.ts';
import type { Arch } from '../model/arch.ts';
import type { EmulatorSearch } from '../run/emulator-program.ts';
import { hostArch } from '../run/host-arch.ts';

/** How programs of a host are started here. */
export interface SimulatedHost {
  readonly arch: Arch;
  /** This machine itself. */
  readonly native: boolean;
  /** The launcher, in a folder with its manifest; undefined for this machine. */
  readonly launcher: string | undefined;
  /** This machine's emulator of the host. */
  readonly emulator: string | undefined;
}

/** @throws UportError UPORT_EMULATOR_NOT_FOUND, UPORT_NO_LAUNCHER */
export async function simulateHost(arch: Arch, search: EmulatorSearch): Promise<SimulatedHost> {
  const here = hostArch();
  if (arch === here) return { arch, native: true, launcher: undefined, emulator: undefined };
  const found = await findInterpreters([arch], here, search);
  const launcher = await storedLauncher(here, found, search);
  return { arch, native: false, launcher, emulator: found[0]?.file };
}
