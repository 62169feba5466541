// Emulators that start faster: QEMU's relocations are applied when the package is made, not at each
// start. Only for builds that were seen to run so on their hosts' kernels; all others stay as they are.
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type Digest, parseDigest } from '../model/digest.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { applyRelocations, type LoadAddressSource } from './apply-relocations.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';

interface ProvenBuilds {
  /** Of the Debian version that stands in the emulator. */
  readonly version: RegExp;
  readonly source: LoadAddressSource;
  readonly hosts: readonly string[];
}

/**
 * The builds and hosts whose prepared emulators were run on the host's own kernel
 * (e2e/prepared-emulators.test.ts). The C library in the file decides `source`, and a suite's version
 * decides the library: bookworm has glibc 2.36, trixie 2.41. In sid it changes, so builds are named
 * one by one there.
 */
const PROVEN: readonly ProvenBuilds[] = [
  {
    version: /^1:7\.2\+dfsg-\d+\+deb12u\d+(?:\+b\d+)?$/,
    source: 'own-place',
    hosts: ['x86_64', 'aarch64'],
  },
  {
    version: /^1:10\.0\.\d+\+ds-\d+\+deb13u\d+(?:\+b\d+)?$/,
    source: 'headers',
    hosts: ['x86_64', 'aarch64'],
  },
  {
    version: /^1:(?:11\.1\.2\+ds-3|11\.1\.3\+ds-1)$/,
    source: 'headers',
    hosts: ['x86_64', 'aarch64', 'riscv64', 's390x'],
  },
];

const MAX_BANNER = 256;

/** The Debian version in QEMU's banner. */
function debianVersion(bytes: Buffer, { guest, version }: PinnedEmulator): string | undefined {
  const start = `qemu-${guest} version ${version} (Debian `;
  const at = bytes.indexOf(start, 0, 'latin1');
  if (at === -1) return undefined;
  const text = bytes.toString('latin1', at + start.length, at + start.length + MAX_BANNER);
  return /^[0-9A-Za-z.:+~-]+(?=\))/.exec(text)?.[0];
}

/** An emulator's bytes, prepared in place; false when it has to stay as it is. */
export function prepareEmulatorBytes(bytes: Buffer, emulator: PinnedEmulator): boolean {
  const version = debianVersion(bytes, emulator);
  if (version === undefined) return false;
  const proven = PROVEN.find(
    (builds) => builds.hosts.includes(emulator.host) && builds.version.test(version),
  );
  return proven !== undefined && applyRelocations(bytes, proven.source);
}

/** What is remembered of an emulator that was looked at; null: it stays as it is. */
type Note = { readonly digest: Digest; readonly size: number } | { readonly digest: null };

/**
 * The emulator with its relocations applied, its bytes put into the store; the same emulator when it is
 * of no build that this is proven for.
 */
export async function prepareEmulator(
  stock: PinnedEmulator,
  { store, signal }: ProviderContext,
): Promise<PinnedEmulator> {
  const key = `prepared-emulators/1 ${stock.digest}`;
  let note = (await store.lookup(key)) as Note | undefined;
  if (!note || (note.digest !== null && !store.locate(parseDigest(note.digest)))) {
    const bytes = await readFile(store.pathOf(stock.digest), { signal });
    note = { digest: null };
    if (prepareEmulatorBytes(bytes, stock)) {
      const { digest, size } = await store.put(Readable.from([bytes]), { signal });
      note = { digest, size };
    }
    await store.record(key, note);
  }
  if (note.digest === null) return stock;
  return { ...stock, digest: note.digest, size: note.size, preparedFrom: stock.digest };
}

/** A provider whose emulators start faster, where that is proven to work. */
export function preparingProvider(inner: EmulatorProvider): EmulatorProvider {
  return {
    ...inner,
    async find(guest, host, context) {
      const stock = await inner.find(guest, host, context);
      return stock && prepareEmulator(stock, context);
    },
  };
}
