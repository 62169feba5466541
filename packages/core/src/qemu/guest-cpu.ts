// Whether an emulator knows a guest CPU, found in its bytes: emulators of other hosts cannot be asked.
import { readFile } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import type { Store } from '../store/store.ts';

/** A model as `-cpu` takes it, with features after commas. */
const SPELLING = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}(?:,[\x21-\x2b\x2d-\x7e]{1,64}){0,32}$/;

/**
 * Refuses a CPU that one of the emulators does not know. Only the model is looked for: what features it
 * has, QEMU itself says when it starts.
 *
 * @throws UportError UPORT_CPU_UNKNOWN
 */
export async function checkGuestCpu(
  cpu: string,
  guest: Arch,
  emulators: Iterable<PinnedEmulator>,
  store: Store,
): Promise<void> {
  if (!SPELLING.test(cpu) || /^help(?:,|$)/.test(cpu)) {
    throw unknown(`${JSON.stringify(cpu.slice(0, 100))} is no CPU as QEMU's -cpu takes it`, guest);
  }
  const model = cpu.split(',')[0] as string;
  for (const emulator of emulators) {
    const bytes = await readFile(store.pathOf(emulator.digest));
    if (!knowsCpu(bytes, model)) {
      throw unknown(
        `qemu-${guest.name} ${emulator.version} for ${emulator.host} knows no CPU ${model}`,
        guest,
      );
    }
  }
}

function unknown(message: string, guest: Arch): UportError {
  return new UportError({
    code: 'UPORT_CPU_UNKNOWN',
    category: 'input',
    message,
    hint: `uport run --cpu help FILE, with a ${guest.name} program, lists those it knows`,
  });
}

/**
 * Models are strings of their own, or the beginning of a QEMU type's name (`z14-s390x-cpu`). Versions
 * (`Haswell-v4`) and base models (`z14-base`) are made of them when QEMU starts. Linkers keep a string as
 * the end of a longer one (`cortex-a72` in `arm,cortex-a72`), so what comes before is only looked at for not
 * being a part of the name: `a72` is no model.
 */
export function knowsCpu(emulator: Buffer, model: string): boolean {
  const stem = model.replace(/-(?:v[0-9]{1,2}|base)$/, '');
  return [model, stem].some((name) => {
    for (let at = emulator.indexOf(name); at >= 0; at = emulator.indexOf(name, at + 1)) {
      const before = emulator.toString('latin1', Math.max(0, at - 1), at);
      if (/[\w.+-]/.test(before) && !(name === '486' && before === 'i')) continue;
      const rest = emulator.toString('latin1', at + name.length, at + name.length + 40);
      if (rest.startsWith('\0') || /^-[\w-]{0,30}cpu\0/.test(rest)) return true;
    }
    return false;
  });
}
