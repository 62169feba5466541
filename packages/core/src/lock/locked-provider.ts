// Emulators as a lock pins them.
import { UportError } from '@uport/errors';
import { debianName, unavailable } from '../debian/package.ts';
import { type DebianOrigin, usePinnedPackage } from '../debian/pinned-package.ts';
import type { Arch } from '../model/arch.ts';
import type { PinnedEmulator, PinnedTranslator } from '../plan/plan.ts';
import { emulatorOfPackage } from '../qemu/debian-provider.ts';
import { checkEmulator, readEmulatorFile } from '../qemu/emulator-file.ts';
import { prepareEmulator } from '../qemu/prepared-emulator.ts';
import type { EmulatorProvider, ProviderContext } from '../qemu/provider.ts';
import { findEmulators } from '../qemu/providers.ts';
import { pinnedTranslator } from '../translators/debian-translator.ts';
import { findTranslator } from '../translators/find-translators.ts';
import type { TranslatorRule } from '../translators/rules.ts';
import { readTranslatorProgram } from '../translators/translator-file.ts';
import { emulatorKey, LOCK_NAME, type Lock, type LockedEmulator, translatorKey } from './lock.ts';

export interface LockOptions {
  readonly lock: Lock;
  /** As a configuration spells the providers. */
  readonly sources: readonly string[];
}

/**
 * The locked emulators, in place of what the providers have now. Of one that is locked no index is
 * asked; a file of a folder is compared with the lock.
 *
 * @param providers where emulators come from that the lock does not have
 */
export function lockedProvider(
  providers: readonly EmulatorProvider[],
  options: LockOptions,
): EmulatorProvider {
  return {
    name: options.sources.join(' '),
    find: (guest, host, context) => find(guest, host, providers, options, context),
    findTranslator: (rule, host, context) =>
      findLockedTranslator(rule, host, providers, options, context),
  };
}

async function find(
  guest: Arch,
  host: Arch,
  providers: readonly EmulatorProvider[],
  { lock, sources }: LockOptions,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  const locked = lock.emulators.get(emulatorKey(guest.name, host.name, sources));
  const ask = async () => (await findEmulators(guest, [host], providers, context)).get(host.name);
  if (locked === undefined) {
    // What is missing is told together with all else that does not fit.
    return ask();
  }
  const kept = context.store.locate(locked.digest) !== undefined;
  if (kept) await checkVersion(locked, guest, host, context);
  if (locked.origin.provider === 'dir') {
    const there = await ask().catch((error: unknown) => {
      // A folder that is gone is no change while the store has the file.
      if (kept) return undefined;
      throw error;
    });
    return there || !kept ? there : pinOf(locked, guest, host);
  }
  if (kept) return pinOf(locked, guest, host);
  if (locked.origin.provider !== 'debian') return ask();
  const fetched = await fetchLocked(locked, locked.origin, guest, host, context);
  if (fetched?.digest === locked.digest && fetched.version === locked.version) return fetched;
  throw drift(locked, fetched, guest, host);
}

async function findLockedTranslator(
  rule: TranslatorRule,
  host: Arch,
  providers: readonly EmulatorProvider[],
  { lock, sources }: LockOptions,
  context: ProviderContext,
): Promise<PinnedTranslator> {
  const locked = lock.translators.get(translatorKey(rule.kind, rule.guest, host.name, sources));
  if (locked === undefined) return findTranslator(rule, host, providers, context);
  const { kind, version, loader, files, packages } = locked;
  const pin = { kind, host: host.name, guest: rule.guest, version, loader, files, packages };
  const kept = files.every(({ digest }) => context.store.locate(digest) !== undefined);
  if (kept) {
    // A lock that was edited or merged may name a file of another host or version.
    if (files.find(({ name }) => name === kind)?.digest !== locked.digest) {
      throw translatorDrift(kind, host);
    }
    const file = context.store.pathOf(locked.digest);
    const program = await readTranslatorProgram(file, rule, host, LOCK_NAME);
    if (program.version !== version || program.loader !== loader) {
      throw translatorDrift(kind, host);
    }
  }
  if (packages.length === 0) {
    const there = await findTranslator(rule, host, providers, context).catch((error: unknown) => {
      // A folder that is gone is no change while the store has the files.
      if (kept) return undefined;
      throw error;
    });
    return there ?? pin;
  }
  if (kept) return pin;
  const fetched = await pinnedTranslator(packages, rule, host, context);
  if (fetched.version === version && JSON.stringify(fetched.files) === JSON.stringify(files)) {
    return fetched;
  }
  throw translatorDrift(kind, host);
}

function translatorDrift(kind: string, host: Arch): UportError {
  return new UportError({
    code: 'UPORT_LOCK_DRIFT',
    category: 'validation',
    message: `${kind} for ${host.name} is not the locked one: its files say something else`,
    hint: `put back the lock that was, or run uport update ${kind}, and look at what it changes`,
  });
}

/** A lock that was edited or merged may name a file of another guest, host or version. */
async function checkVersion(
  locked: LockedEmulator,
  guest: Arch,
  host: Arch,
  { store }: ProviderContext,
): Promise<void> {
  const file = store.pathOf(locked.digest);
  const { version } = checkEmulator(await readEmulatorFile(file), guest, host, LOCK_NAME);
  if (version !== locked.version) throw drift(locked, { ...locked, version }, guest, host);
}

function drift(
  locked: LockedEmulator,
  there: { readonly version: string; readonly digest: string } | undefined,
  guest: Arch,
  host: Arch,
): UportError {
  return new UportError({
    code: 'UPORT_LOCK_DRIFT',
    category: 'validation',
    message: `the emulator of ${guest.name} for ${host.name} is not the locked one: ${locked.version} (${locked.digest}) → ${there ? `${there.version} (${there.digest})` : 'nothing'}`,
    hint: `put back the lock that was, or run uport update ${guest.name}, and look at what it changes`,
  });
}

function pinOf(locked: LockedEmulator, guest: Arch, host: Arch): PinnedEmulator {
  const { kind, version, digest, size, origin, preparedFrom } = locked;
  // In the order of a plan that was made without a lock: its file is to have the same bytes.
  return {
    kind,
    host: host.name,
    guest: guest.name,
    version,
    digest,
    size,
    origin,
    ...(preparedFrom && { preparedFrom }),
  };
}

/** The locked package by its path: no index is needed. */
async function fetchLocked(
  locked: LockedEmulator,
  origin: DebianOrigin,
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  return usePinnedPackage(
    origin,
    debianName(host),
    context,
    async (found) => {
      const stock = await emulatorOfPackage(found, guest, host, context);
      return (
        stock && (locked.preparedFrom === undefined ? stock : await prepareEmulator(stock, context))
      );
    },
    (failed) => {
      const fault = unavailable(`${origin.package} ${origin.packageVersion}`, failed);
      return new UportError({
        code: 'UPORT_LOCK_PACKAGE_GONE',
        category: 'network',
        message: `the locked emulator of ${guest.name} for ${host.name} (${locked.version}) cannot be had: ${fault.message}`,
        hint: 'mirrors keep the newest version only: name an archive that has this one with UPORT_DEBIAN_MIRROR, such as a day of snapshot.debian.org, or run uport update',
        cause: fault,
      });
    },
  );
}
