// Emulators other than QEMU: for which guests on which hosts there are some. Pure.
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import { parseArch } from '../model/arch.ts';

/** One such emulator. Adding one is adding a row, and what the launcher must know of it (translator.c). */
export interface TranslatorRule {
  readonly kind: 'box64';
  /** The CPU whose programs it runs. */
  readonly guest: string;
  /** Hosts that it makes machine code for. */
  readonly hosts: readonly string[];
  /** The ELF interpreters, by the end of their paths, of the programs it runs. */
  readonly interpreters: readonly string[];
  /** What those programs are, for people. */
  readonly programs: string;
  /** SPDX expression. */
  readonly license: string;
}

export const TRANSLATOR_RULES: readonly TranslatorRule[] = Object.freeze([
  {
    kind: 'box64',
    guest: 'x86_64',
    hosts: ['aarch64', 'riscv64', 'loongarch64'],
    interpreters: ['/ld-linux-x86-64.so.2'],
    programs: 'dynamic programs of glibc',
    license: 'MIT',
  },
]);

/** `box64` for every host that it is there for, or `HOST=box64`; `qemu` takes a choice back. */
export interface EmulatorChoice {
  readonly kind: TranslatorRule['kind'] | 'qemu';
  /** Undefined: all. */
  readonly host: Arch | undefined;
}

/**
 * Reads `[HOST=]NAME`.
 *
 * @throws UportError UPORT_EMULATOR_UNKNOWN, UPORT_ARCH_UNKNOWN
 */
export function parseEmulatorChoice(spec: string): EmulatorChoice {
  const at = spec.lastIndexOf('=');
  const name = spec.slice(at + 1);
  const known = ['qemu' as const, ...TRANSLATOR_RULES.map(({ kind }) => kind)];
  const kind = known.find((each) => each === name);
  if (kind !== undefined) return { kind, host: at < 0 ? undefined : parseArch(spec.slice(0, at)) };
  throw new UportError({
    code: 'UPORT_EMULATOR_UNKNOWN',
    category: 'usage',
    message: `${JSON.stringify(spec)} names no emulator`,
    hint: `use one of ${known.join(', ')}, or HOST= and one of them; sources of emulators are named with --emulators`,
  });
}

/**
 * What is to be tried before QEMU, by host; the last choice that fits a host counts.
 *
 * @param hosts those on which the guest is emulated
 * @throws UportError UPORT_EMULATOR_PAIR for what there is not
 */
export function chosenTranslators(
  choices: readonly EmulatorChoice[],
  guest: Arch,
  hosts: readonly Arch[],
): ReadonlyMap<string, TranslatorRule> {
  const chosen = new Map<string, TranslatorRule>();
  for (const { kind, host: named } of choices) {
    const fitting = hosts.filter((host) => named === undefined || host === named);
    if (kind === 'qemu') {
      for (const host of fitting) chosen.delete(host.name);
      continue;
    }
    const rule = TRANSLATOR_RULES.find((each) => each.kind === kind && each.guest === guest.name);
    const served = fitting.filter((host) => rule?.hosts.includes(host.name));
    if (rule === undefined || served.length === 0) throw noPair(kind, guest, named ?? hosts);
    for (const host of served) chosen.set(host.name, rule);
  }
  return chosen;
}

function noPair(kind: string, guest: Arch, wanted: Arch | readonly Arch[]): UportError {
  const rules = TRANSLATOR_RULES.filter((each) => each.kind === kind);
  const hosts = [wanted].flat().map(({ name }) => name);
  return new UportError({
    code: 'UPORT_EMULATOR_PAIR',
    category: 'usage',
    message: `${kind} cannot be had for ${guest.name} programs on ${hosts.join(', ') || 'no host: none needs an emulator'}`,
    hint: `it runs ${rules
      .map((rule) => `${rule.guest} on ${rule.hosts.join(', ')}`)
      .join('; ')}; add such a host, or leave --emulator out`,
  });
}
