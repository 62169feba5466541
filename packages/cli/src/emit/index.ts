import { usage } from '../pairs.ts';
import type { EmitFlags } from './emit-flags.ts';
import { nixFlags } from './nix-flags.ts';
import { ociFlags } from './oci-flags.ts';
import { fatelfFlags, universalFlags } from './universal-flags.ts';

/** The emitters that `--emit` knows. */
export const EMIT_FLAGS: readonly EmitFlags[] = [ociFlags, universalFlags, fatelfFlags, nixFlags];

export { nixFlags, ociFlags, universalFlags };

/**
 * Refuses flags of emitters that are not asked for: they would do nothing.
 *
 * @param emitters names of those that are
 * @param metadata what the parser says of each flag
 */
export function refuseOthersFlags(
  emitters: readonly string[],
  flags: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, { readonly setFromDefault?: boolean } | undefined>>,
): void {
  for (const name of Object.keys(flags)) {
    if (flags[name] === undefined || metadata[name]?.setFromDefault === true) continue;
    const owners = EMIT_FLAGS.filter((each) => Object.hasOwn(each.flags, name));
    if (owners.length === 0 || owners.some((each) => emitters.includes(each.name))) continue;
    const wanted = owners.map((each) => each.name).join(' or ');
    throw usage(
      `--${name} says something of ${wanted}, and only ${emitters.join(', ')} is made`,
      `leave it out, or add ${wanted} to --emit`,
    );
  }
}
