// Which of an image's platforms runs on a host that the image lacks.
import { ARCHES, type Arch } from '../model/arch.ts';

/**
 * Guests, the best first: 64-bit ones, then 32-bit ones, each by how fast QEMU runs them. Measured:
 * see docs/images.md. CPUs that are not here come after these.
 */
const BY_SPEED: readonly string[] = [
  ...['aarch64', 'riscv64', 'x86_64', 'loongarch64', 'mips64el', 'ppc64le', 'ppc64', 's390x'],
  ...['arm', 'mipsel', 'i386'],
];

/** Guests by speed alone, the fastest first. */
export function bySpeed(guests: readonly Arch[]): readonly Arch[] {
  return [...new Set(guests)].sort((a, b) => speedRank(a) - speedRank(b));
}

function speedRank(guest: Arch): number {
  const speed = BY_SPEED.indexOf(guest.name);
  return speed >= 0 ? speed : BY_SPEED.length + ARCHES.indexOf(guest);
}

/**
 * The guests to choose from, the best for this host first: those that its kernel may run by itself,
 * then by speed.
 */
export function rankGuests(host: Arch, guests: readonly Arch[]): readonly Arch[] {
  const rank = (guest: Arch): number => {
    return guest.compatibleWith.includes(host.name) ? -1 : speedRank(guest);
  };
  return [...new Set(guests)].sort((a, b) => rank(a) - rank(b));
}
