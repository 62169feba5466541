// The translators that a build asks for.
import { UportError } from '@uport/errors';
import { type Arch, parseArch } from '../model/arch.ts';
import type { PinnedTranslator } from '../plan/plan.ts';
import type { EmulatorProvider, ProviderContext } from '../qemu/provider.ts';
import type { TranslatorRule } from './rules.ts';

/**
 * Finds each in the first provider that has it.
 *
 * @param chosen by host, as `chosenTranslators` gives it
 * @throws UportError UPORT_EMULATOR_NOT_FOUND, and those of providers
 */
export async function findTranslators(
  chosen: ReadonlyMap<string, TranslatorRule>,
  providers: readonly EmulatorProvider[],
  context: ProviderContext,
): Promise<ReadonlyMap<string, PinnedTranslator>> {
  const found = new Map<string, PinnedTranslator>();
  for (const [host, rule] of chosen) {
    found.set(host, await findTranslator(rule, parseArch(host), providers, context));
  }
  return found;
}

export async function findTranslator(
  rule: TranslatorRule,
  host: Arch,
  providers: readonly EmulatorProvider[],
  context: ProviderContext,
): Promise<PinnedTranslator> {
  for (const provider of providers) {
    const translator = await provider.findTranslator?.(rule, host, context);
    if (translator) return translator;
  }
  throw new UportError({
    code: 'UPORT_EMULATOR_NOT_FOUND',
    category: 'input',
    message: `${providers.map(({ name }) => name).join(', ')} has no ${rule.kind} for ${host.name}`,
    hint: `name another source with --emulators (debian:sid, or dir:PATH with ${rule.kind}, its loader and its libraries), or leave --emulator out`,
  });
}
