// The guest CPU that emulators are told to be where their own default is a bad one. Pure.
import type { PinnedEmulator } from './plan.ts';

/**
 * QEMU before 10 computes the pointer authentication of aarch64 by the architecture's own algorithm: a
 * program that is built with it takes ten times as long as with QEMU's (docs/guest-cpu.md). The values
 * are no program's business.
 *
 * @returns undefined for the emulator's own default
 */
export function defaultGuestCpu({
  guest,
  version,
}: Pick<PinnedEmulator, 'guest' | 'version'>): string | undefined {
  const major = Number(/^(\d{1,4})\./.exec(version)?.[1] ?? Number.NaN);
  // The property came with 6.0.
  return guest === 'aarch64' && major >= 6 && major < 10 ? 'max,pauth-impdef=on' : undefined;
}
