// FatELF files in a payload, such as shared objects for many CPUs: each host gets its own program of
// them, since no loader of Linux reads the container.
import { open } from 'node:fs/promises';
import { type ByteSource, partOf, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { extractFatElf, readFatElf } from '@uport/fatelf';
import { type Arch, archOfElf } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import { placeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import type { NativeSlice, PinnedFile } from '../plan/plan.ts';
import type { Store } from '../store/store.ts';
import { FOOTER_SIZE, hasFooter } from '../universal/payload-index.ts';
import type { App } from './app.ts';
import { fileSource } from './file-source.ts';

export interface ResolvedApp {
  /** In its payload each FatELF file has become the guest's program of it. */
  readonly app: App;
  /** The other hosts' programs, by host. */
  readonly slices: ReadonlyMap<string, readonly NativeSlice[]>;
}

/**
 * Takes apart the FatELF files of an app's payload. Universal files, which run by themselves, stay
 * as they are.
 *
 * @param hosts those that run native builds of the target
 * @throws UportError UPORT_FATELF_NO_GUEST, and those of a damaged container
 */
export async function resolveFatElfs(
  app: App,
  hosts: readonly Arch[],
  store: Store,
  context: { readonly signal: AbortSignal; readonly warn?: (message: string) => void },
): Promise<ResolvedApp> {
  const others = hosts.filter((host) => host !== app.guest);
  const taken = new Map<Digest, ReadonlyMap<Arch, PinnedFile>>();
  const slices = new Map<string, NativeSlice[]>();
  const entries: PayloadEntry[] = [];
  for (const entry of app.payload.entries) {
    if (entry.type !== 'file' || !app.fatElfs.has(entry.digest)) {
      entries.push(entry);
      continue;
    }
    context.signal.throwIfAborted();
    const name = displayBytes(entry.path);
    const parts =
      taken.get(entry.digest) ??
      (await takeApart(app, entry.digest, [app.guest, ...others], store, name, context.signal));
    taken.set(entry.digest, parts);
    const own = parts.get(app.guest);
    entries.push(own === undefined ? entry : { ...entry, digest: own.digest, size: own.size });
    if (own === undefined) continue;
    for (const host of others) {
      const file = parts.get(host);
      if (file === undefined) {
        context.warn?.(
          `${name} has nothing for ${host.name}: the native build there gets the one for ${app.guest.name}`,
        );
        continue;
      }
      slices.set(host.name, [...(slices.get(host.name) ?? []), { path: entry.path, file }]);
    }
  }
  return { app: { ...app, payload: { entries } }, slices };
}

/** The programs for these CPUs, put into the store; none of a universal file. */
async function takeApart(
  app: App,
  digest: Digest,
  wanted: readonly Arch[],
  store: Store,
  name: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<Arch, PinnedFile>> {
  const located = app.content.locate(digest);
  if (located === undefined) throw new TypeError(`${name} is not at hand`);
  const place = placeOf(located);
  const file = await open(place.file, 'r');
  try {
    const whole = fileSource(file, (await file.stat()).size);
    const source = place.size === undefined ? whole : partOf(whole, place.offset, place.size);
    if (await isUniversal(source)) return new Map();
    const { records } = await readFatElf(source);
    const found = new Map<Arch, number>();
    const names: string[] = [];
    for (const [i, { offset, size }] of records.entries()) {
      const arch = archOfElf(await readElfIdentity(partOf(source, offset, size)));
      if (arch !== undefined && !found.has(arch)) found.set(arch, i);
      names.push(arch?.name ?? 'an unknown CPU');
    }
    if (!found.has(app.guest)) throw withoutGuest(app.guest, names);
    const parts = new Map<Arch, PinnedFile>();
    for (const arch of wanted) {
      const record = found.get(arch);
      if (record === undefined) continue;
      const stream = await extractFatElf(source, `record${record}`);
      const put = await store.put(stream.chunks(signal), {
        signal,
        name: `${name} for ${arch.name}`,
      });
      parts.set(arch, { digest: put.digest, size: put.size });
    }
    return parts;
  } catch (error) {
    throw error instanceof UportError ? error.inFile(name) : error;
  } finally {
    await file.close();
  }
}

function withoutGuest(guest: Arch, names: readonly string[]): UportError {
  return new UportError({
    code: 'UPORT_FATELF_NO_GUEST',
    category: 'input',
    message: `it is a FatELF file without anything for the app's CPU, ${guest.name}; it has: ${names.join(', ')}`,
    hint: `add a build for ${guest.name} with uport fatelf glue, or leave the file out`,
  });
}

async function isUniversal(source: ByteSource): Promise<boolean> {
  if (source.size < FOOTER_SIZE) return false;
  const end = await source.read(source.size - FOOTER_SIZE, FOOTER_SIZE);
  return hasFooter(Buffer.from(end));
}
