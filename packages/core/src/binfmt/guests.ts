import { UportError } from '@uport/errors';
import { ARCHES, type Arch } from '../model/arch.ts';
import type { BinfmtSubject } from './registration.ts';

/**
 * What is worth registering on a host: every CPU but its own and those whose programs its kernel may
 * run by itself, and FatELF. The kernel would never be asked again for what is registered.
 */
export function foreignSubjects(host: Arch): readonly BinfmtSubject[] {
  const foreign = ARCHES.filter(
    (arch) => arch !== host && !arch.compatibleWith.includes(host.name),
  );
  return [...foreign, 'fatelf'];
}

/**
 * A registration for the host's own CPU would hand every program of the machine to an interpreter
 * that is such a program itself.
 *
 * @throws UportError UPORT_BINFMT_OWN_CPU
 */
export function checkForeign(subjects: readonly BinfmtSubject[], host: Arch): void {
  if (!subjects.includes(host)) return;
  throw new UportError({
    code: 'UPORT_BINFMT_OWN_CPU',
    category: 'usage',
    message: `${host.name} is this machine's own CPU: no program would start any more`,
    hint: 'leave it out; to try its emulator: uport run --force-emulation FILE',
  });
}
