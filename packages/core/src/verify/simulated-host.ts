// Another host's programs on this machine: its CPU's emulator runs them, the launcher sees to it that
// their children are run so too.
import { encodeManifest, type ManifestEmulator } from '@uport/launcher';
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

/** The app's emulators as they lie on the simulated host: paths there, absolute. */
export type GuestEmulators = readonly ManifestEmulator[];

/**
 * The manifest of the launcher here. What the app starts of its own CPU is run as on the host: by the
 * app's emulator for the host, which this machine's emulator of the host runs. On a real host its own
 * launcher sees to that, by means that user-mode emulation has not (ptrace, seccomp, namespaces).
 *
 * @param told variables for the launcher of the host, which this one would take for its own
 * @param emulator this machine's emulator of the host: relative to the manifest, or absolute
 */
export function outerManifest(
  { arch }: SimulatedHost,
  emulator: string,
  guests: GuestEmulators,
  told: Readonly<Record<string, string>> = {},
): Buffer {
  const own = { name: arch.name, elf: arch.elf, path: emulator, args: [] };
  const foreign = guests.map(({ name, elf, path, args }) => {
    return { name, elf, path: emulator, args: [path, ...args] };
  });
  const settings = Object.entries(told).map(([name, value]) => {
    return { kind: 'env' as const, name, value };
  });
  const manifest = {
    emulators: [own, ...foreign],
    ...(settings.length > 0 && { surroundings: { settings } }),
  };
  return Buffer.from(encodeManifest(manifest), 'latin1');
}
