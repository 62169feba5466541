import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import type { Store } from '../store/store.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

interface Remembered {
  readonly emulator: PinnedEmulator;
  /** Milliseconds since 1970. */
  readonly found: number;
}

const keyOf = (guest: string, host: string) => `run-emulators/${guest}-on-${host}`;

/** The emulator that an earlier run used; undefined when there is none, or it is a week old. */
export async function recallEmulator(
  store: Store,
  guest: Arch,
  host: Arch,
): Promise<PinnedEmulator | undefined> {
  const note = (await store.lookup(keyOf(guest.name, host.name))) as Remembered | undefined;
  const age = note === undefined ? Number.POSITIVE_INFINITY : Date.now() - note.found;
  if (note === undefined || age < 0 || age > WEEK_MS) return undefined;
  return store.locate(note.emulator.digest) === undefined ? undefined : note.emulator;
}

export async function rememberEmulator(store: Store, emulator: PinnedEmulator): Promise<void> {
  const note: Remembered = { emulator, found: Date.now() };
  await store.record(keyOf(emulator.guest, emulator.host), note);
}
