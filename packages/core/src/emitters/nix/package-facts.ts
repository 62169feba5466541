import { UportError } from '@uport/errors';
import { findArch } from '../../model/arch.ts';
import type { NixHash } from '../../nix/hash.ts';
import { fixedOutputStorePath, toStoreName } from '../../nix/store-path.ts';
import type { Plan } from '../../plan/plan.ts';
import type { NixOptions } from './options.ts';

/** What the Nix files say about the app. */
export interface PackageFacts {
  /** Attribute and first half of the store name. */
  readonly pname: string;
  readonly version: string;
  /** The store object's. */
  readonly name: string;
  readonly description: string;
  readonly licenses: readonly string[];
  /** Files in `bin/`; the first is the main one. */
  readonly programs: readonly [string, ...string[]];
  /** Nix's names of the hosts. */
  readonly systems: readonly string[];
  readonly url: string | undefined;
}

/**
 * Texts that Nix cannot have in names are mended, never refused.
 *
 * @throws UportError UPORT_NIX_NO_SYSTEM for hosts that Nix has no name for
 */
export function packageFacts(plan: Plan, options: NixOptions): PackageFacts {
  const { app } = plan;
  const pname = toStoreName(options.pname ?? app.name);
  const version = toStoreName(options.version);
  const [main = app.name, ...others] = Object.keys(options.bins);
  return {
    pname,
    version,
    name: toStoreName(`${pname}-${version}`),
    description: options.description ?? `Program for ${app.guest} that other CPUs run too`,
    licenses: options.licenses,
    programs: [main, ...others],
    systems: systemsOf(plan),
    url: options.url,
  };
}

function systemsOf({ hosts }: Plan): readonly string[] {
  const nameless = hosts.map(({ host }) => host).filter((host) => !findArch(host)?.nix);
  if (nameless.length === 0) return hosts.map(({ host }) => findArch(host)?.nix as string);
  throw new UportError({
    code: 'UPORT_NIX_NO_SYSTEM',
    category: 'input',
    message: `Nix has no name for ${nameless.join(', ')}`,
    hint: 'leave these hosts out with --host',
  });
}

/** @param hash the NAR's */
export function storePathOf({ name }: PackageFacts, hash: NixHash): string {
  return fixedOutputStorePath({ name, method: 'recursive', hash });
}
