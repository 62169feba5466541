import { availableParallelism } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { collectAll } from '../memory.ts';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { debianProvider } from './debian-provider.ts';
import { dirProvider } from './dir-provider.ts';
import { compareQemuVersions } from './emulator-file.ts';
import { nixProvider } from './nix-provider.ts';
import { preparingProvider } from './prepared-emulator.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';

/** A kind of provider: how it is spelled, and how one is made from what follows the colon. */
export interface ProviderKind {
  readonly name: string;
  /** Shown in help. */
  readonly usage: string;
  /** Undefined when the argument does not fit. */
  create(argument: string | undefined): EmulatorProvider | undefined;
}

/** Every kind there is. Adding one is adding a row. */
export const PROVIDER_KINDS: readonly ProviderKind[] = Object.freeze([
  {
    name: 'debian',
    usage: 'debian[:SUITE]',
    create: (suite) =>
      suite === undefined || /^[a-z0-9][a-z0-9.-]*$/.test(suite)
        ? debianProvider(suite)
        : undefined,
  },
  {
    name: 'dir',
    usage: 'dir:PATH',
    create: (folder) => (folder ? dirProvider(path.resolve(folder)) : undefined),
  },
  {
    name: 'nix',
    usage: 'nix[:STORE-PATH]',
    create: (source) => (source === '' ? undefined : nixProvider(source)),
  },
] satisfies ProviderKind[]);

/**
 * Makes a provider from its spelling: `debian`, `debian:SUITE`, `dir:PATH`, `nix`, `nix:STORE-PATH`. Its
 * emulators are made to start faster, where that is known to work.
 *
 * @throws UportError UPORT_PROVIDER_UNKNOWN
 */
export function parseEmulatorProvider(spec: string): EmulatorProvider {
  return preparingProvider(parseStockProvider(spec));
}

/**
 * The same, with every emulator as its source has it.
 *
 * @throws UportError UPORT_PROVIDER_UNKNOWN
 */
export function parseStockProvider(spec: string): EmulatorProvider {
  const colon = spec.indexOf(':');
  const name = colon === -1 ? spec : spec.slice(0, colon);
  const kind = PROVIDER_KINDS.find((each) => each.name === name);
  const provider = kind?.create(colon === -1 ? undefined : spec.slice(colon + 1));
  if (provider) return provider;
  throw new UportError({
    code: 'UPORT_PROVIDER_UNKNOWN',
    category: 'usage',
    message: `${JSON.stringify(spec)} is no source of emulators`,
    hint: `use one of: ${PROVIDER_KINDS.map((each) => each.usage).join(', ')}`,
  });
}

/**
 * The newest emulator of `guest` for each host that any provider has; of equal versions the earlier
 * provider's. Hosts that no provider has an emulator for are absent.
 *
 * @returns by host name, in the order of `hosts`
 * @throws UportError the first provider's fault, when a host got none because providers failed
 */
export async function findEmulators(
  guest: Arch,
  hosts: readonly Arch[],
  providers: readonly EmulatorProvider[],
  context: ProviderContext,
): Promise<ReadonlyMap<string, PinnedEmulator>> {
  // One failure ends the other hosts' downloads too.
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const told = new Set<string>();
  const inner: ProviderContext = {
    ...context,
    signal,
    // Hosts share suites and mirrors, so they meet the same trouble.
    warn: (message) => {
      if (!told.has(message)) context.warn?.(message);
      told.add(message);
    },
  };
  const found = new Map<string, PinnedEmulator | undefined>(
    hosts.map((host) => [host.name, undefined]),
  );
  const waiting = [...hosts];
  const worker = async (): Promise<void> => {
    for (let host = waiting.shift(); host; host = waiting.shift()) {
      found.set(host.name, await newest(guest, host, providers, inner));
    }
  };
  // Two at once: one unpacks while the other downloads.
  const count = Math.min(hosts.length, Math.max(2, Math.min(4, availableParallelism())));
  let failure: unknown;
  await Promise.all(
    Array.from({ length: count }, () =>
      worker().catch((error: unknown) => {
        failure ??= error;
        stop.abort(error);
      }),
    ),
  );
  context.signal.throwIfAborted();
  if (failure !== undefined) throw failure;
  collectAll();
  const emulators = new Map<string, PinnedEmulator>();
  for (const [host, emulator] of found) if (emulator) emulators.set(host, emulator);
  return emulators;
}

async function newest(
  guest: Arch,
  host: Arch,
  providers: readonly EmulatorProvider[],
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  let best: PinnedEmulator | undefined;
  const failures: UportError[] = [];
  for (const provider of providers) {
    try {
      const emulator = await provider.find(guest, host, context);
      if (emulator && (!best || compareQemuVersions(emulator.version, best.version) > 0)) {
        best = emulator;
      }
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof UportError) || error.code.startsWith('UPORT_STORE_')) throw error;
      failures.push(error);
    }
  }
  if (best) for (const { message } of failures) context.warn?.(message);
  else if (failures[0]) throw failures[0];
  return best;
}
