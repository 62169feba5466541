import { UportError } from '@uport/errors';
import { ARCHES, type Arch, parseArch } from '../model/arch.ts';
import { type BinfmtRule, elfBinfmtRule, FATELF_BINFMT_RULE } from './rule.ts';

/** What is registered: the programs of a CPU, or FatELF files. */
export type BinfmtSubject = Arch | 'fatelf';

/** Everything that binfmt_misc is told. */
export interface BinfmtRegistration extends BinfmtRule {
  /** The name of its file in binfmt_misc. */
  readonly name: string;
  /** Absolute path. */
  readonly interpreter: string;
  /**
   * `F`: the interpreter is opened once, so it is found in containers and chroots too. `P`: it gets
   * argv[0], after the path of the program. `O`, `C`: see the kernel's documentation.
   */
  readonly flags: string;
}

/** F and P: QEMU and the launcher are told by the kernel that P is on. */
export const DEFAULT_BINFMT_FLAGS = 'FP';

/** A folder that stays, for interpreters of the whole system. */
export const DEFAULT_BINFMT_PREFIX = '/usr/local/lib/uport';

/** Every CPU of the table, then FatELF. */
export const BINFMT_SUBJECTS: readonly BinfmtSubject[] = Object.freeze([...ARCHES, 'fatelf']);

/** `uport-aarch64`, `uport-fatelf`. */
export function binfmtName(subject: BinfmtSubject): string {
  return `uport-${subject === 'fatelf' ? subject : subject.name}`;
}

/** The interpreter's name in its folder. */
export function binfmtInterpreterName(subject: BinfmtSubject): string {
  return subject === 'fatelf' ? 'launch' : `qemu-${subject.name}`;
}

/**
 * A CPU by any usual name, or `fatelf`.
 *
 * @throws UportError UPORT_ARCH_UNKNOWN
 */
export function parseBinfmtSubject(name: string): BinfmtSubject {
  return name.toLowerCase() === 'fatelf' ? 'fatelf' : parseArch(name);
}

/** @throws UportError UPORT_BINFMT_INVALID for a path or flags that the kernel would not take */
export function binfmtRegistration(
  subject: BinfmtSubject,
  interpreter: string,
  flags: string = DEFAULT_BINFMT_FLAGS,
): BinfmtRegistration {
  if (!interpreter.startsWith('/') || /[\0\n]/.test(interpreter)) {
    throw invalid(
      `${JSON.stringify(interpreter)} is no absolute path without newlines`,
      'name the folder of the interpreters by its absolute path',
    );
  }
  if (!/^[CFOP]*$/.test(flags)) {
    throw invalid(`binfmt_misc has no flags ${JSON.stringify(flags)}`, 'use letters of C, F, O, P');
  }
  const rule = subject === 'fatelf' ? FATELF_BINFMT_RULE : elfBinfmtRule(subject);
  return { name: binfmtName(subject), ...rule, interpreter, flags };
}

function invalid(message: string, hint: string): UportError {
  return new UportError({ code: 'UPORT_BINFMT_INVALID', category: 'usage', message, hint });
}
