import type { DebianContext } from '../debian/context.ts';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator, PinnedTranslator } from '../plan/plan.ts';
import type { TranslatorRule } from '../translators/rules.ts';

/** What a provider works with: the store it fills, and the ways to tell, warn and stop. */
export interface ProviderContext extends DebianContext {}

/** A source of emulators, such as Debian's archive or a folder. */
export interface EmulatorProvider {
  /** As it is spelled, such as `debian:trixie`. */
  readonly name: string;
  /**
   * The newest static emulator of `guest` for `host` that this source has, its bytes put into the
   * store; undefined when it has none.
   *
   * @throws UportError when the source cannot be asked
   */
  find(guest: Arch, host: Arch, context: ProviderContext): Promise<PinnedEmulator | undefined>;
  /**
   * An emulator other than QEMU with all that it needs, its bytes put into the store; undefined when
   * this source has none. Absent: it never has.
   *
   * @throws UportError when the source cannot be asked
   */
  findTranslator?(
    rule: TranslatorRule,
    host: Arch,
    context: ProviderContext,
  ): Promise<PinnedTranslator | undefined>;
}
