// Which of several files is the emulator that is wanted: by names first, then by what they say themselves.
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import type { Digest } from '../model/digest.ts';
import type { EmulatorOrigin, PinnedEmulator } from '../plan/plan.ts';
import { checkEmulator, compareQemuVersions, readEmulatorFile } from './emulator-file.ts';
import type { ProviderContext } from './provider.ts';

/** A file that may be it. */
export interface EmulatorCandidate {
  /** Where its bytes lie on this machine. */
  readonly place: string;
  /** What faults call it. */
  readonly shown: string;
}

/**
 * The newest of the files that are emulators of the guest for the host. Builds for other hosts, and what
 * is no ELF program, such as a wrapper script beside one, are passed over.
 *
 * @param explain says more of a fault
 * @returns undefined when there is none
 * @throws UportError UPORT_EMULATOR_NOT_STATIC, UPORT_EMULATOR_WRONG, UPORT_ELF_*: the first fault, when
 *   there is nothing better
 */
export async function chooseEmulator<T extends EmulatorCandidate>(
  candidates: Iterable<T>,
  guest: Arch,
  host: Arch,
  signal: AbortSignal,
  explain: (fault: UportError, candidate: T) => UportError = (fault) => fault,
): Promise<{ readonly chosen: T; readonly version: string } | undefined> {
  let best: { chosen: T; version: string } | undefined;
  let refused: UportError | undefined;
  for (const candidate of candidates) {
    signal.throwIfAborted();
    try {
      const emulator = await readEmulatorFile(candidate.place);
      if (emulator.host !== host) continue;
      const { version } = checkEmulator(emulator, guest, host, candidate.shown);
      if (!best || compareQemuVersions(version, best.version) > 0) {
        best = { chosen: candidate, version };
      }
    } catch (error) {
      if (!(error instanceof UportError)) throw error;
      if (error.code === 'UPORT_ELF_NOT_ELF') continue;
      refused ??= explain(error.inFile(candidate.shown), candidate);
    }
  }
  if (best === undefined && refused !== undefined) throw refused;
  return best;
}

/**
 * Puts an emulator into the store.
 *
 * @param expected the digest, where it is known
 */
export async function pinEmulator(
  { chosen, version }: { readonly chosen: EmulatorCandidate; readonly version: string },
  guest: Arch,
  host: Arch,
  origin: EmulatorOrigin,
  { store, signal }: ProviderContext,
  expected?: Digest,
): Promise<PinnedEmulator> {
  const { digest, size } = await store.putFile(chosen.place, {
    ...(expected !== undefined && { expected }),
    signal,
  });
  return { kind: 'qemu', host: host.name, guest: guest.name, version, digest, size, origin };
}

/** What an emulator's file may be called. */
export function emulatorNames(guest: Arch, host: Arch): ReadonlySet<string> {
  const programs = new Set<string>();
  for (const name of [guest.name, ...spellings(guest)]) {
    for (const static_ of ['', '-static']) {
      programs.add(`qemu-${name}${static_}`);
      for (const hostName of spellings(host)) {
        programs.add(`qemu-${name}${static_}-${hostName}`);
        programs.add(`qemu-${name}-${hostName}${static_}`);
      }
    }
  }
  return programs;
}

/** What people call a CPU in names of folders and files. */
export function spellings(arch: Arch): readonly string[] {
  return [
    ...new Set(
      [
        arch.name,
        arch.debian,
        arch.gnu,
        arch.nix,
        arch.oci?.architecture,
        ...arch.uname,
        ...arch.aliases,
      ].filter((name): name is string => name !== undefined && !name.includes('/')),
    ),
  ];
}
