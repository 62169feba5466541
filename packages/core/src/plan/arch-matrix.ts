import type { Arch } from '../model/arch.ts';
import type { Way } from './plan.ts';

/** One host of the arch matrix. */
export interface MatrixRow {
  readonly host: Arch;
  readonly way: Way;
  /** Why it is so; for `unsupported`, what is missing. */
  readonly reason: string;
}

/** What is at hand for each host, by the host's name. */
export interface MatrixFacts {
  /** Hosts with a native build of the app. */
  readonly slices: ReadonlySet<string>;
  /** Hosts for which a launcher exists. */
  readonly launchers: ReadonlySet<string>;
  /** Hosts for which an emulator of the guest exists. Undefined: not asked; the rule of QEMU's hosts decides. */
  readonly emulators: ReadonlySet<string> | undefined;
  /** Why a host can have no artifact. Left out: images are asked for. */
  readonly refused?: (host: Arch) => string | undefined;
}

/** Why there can be no image for a host. */
export function noPlatform({ name, oci }: Arch): string | undefined {
  return oci === undefined ? `image-spec has no platform for a host of ${name}` : undefined;
}

/** Decides for each host how the app starts there. */
export function archMatrix(
  guest: Arch,
  hosts: readonly Arch[],
  facts: MatrixFacts,
): readonly MatrixRow[] {
  return hosts.map((host) => ({ host, ...wayOn(host, guest, facts) }));
}

function wayOn(host: Arch, guest: Arch, facts: MatrixFacts): { way: Way; reason: string } {
  const refused = (facts.refused ?? noPlatform)(host);
  if (refused !== undefined) return { way: 'unsupported', reason: refused };
  if (facts.slices.has(host.name)) return { way: 'native', reason: 'a native slice was given' };
  if (host.name === guest.name) return { way: 'native', reason: "the app's own CPU" };
  if (!facts.launchers.has(host.name)) {
    return { way: 'unsupported', reason: `there is no launcher for ${host.name}` };
  }
  const emulator = emulatorOn(host, guest, facts);
  if (emulator !== undefined) return { way: 'unsupported', reason: emulator };
  if (guest.compatibleWith.includes(host.name)) {
    return {
      way: 'compatible',
      reason: `a ${host.name} kernel may run it; qemu-${guest.name} where it does not`,
    };
  }
  return { way: 'emulated', reason: `qemu-${guest.name}` };
}

/** Why there is no emulator, or undefined when there is one. */
function emulatorOn(host: Arch, guest: Arch, facts: MatrixFacts): string | undefined {
  if (facts.emulators?.has(host.name)) return undefined;
  const narrow = guest.elf.bits === 64 && host.elf.bits === 32;
  if (narrow && !facts.emulators?.has(host.name)) {
    return `QEMU 10 and newer run no 64-bit guest (${guest.name}) on a 32-bit host`;
  }
  return facts.emulators ? `no provider has a qemu-${guest.name} for ${host.name}` : undefined;
}
