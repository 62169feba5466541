import { createReadStream } from 'node:fs';
import { UportError } from '@uport/errors';
import { textPath } from '../model/byte-path.ts';
import { readNixExport } from '../nix/nar-export.ts';
import { systemError } from '../system-error.ts';
import { scanOfEntries } from './canonical-scan.ts';
import { pathMissing } from './faults.ts';
import type { ClosureContext, NixStore, StoreObject } from './nix-store.ts';
import { placeEntries, storeNarFiles } from './store-nar.ts';

/** A store that was read whole. */
export interface ExportStore extends NixStore {
  /** The object that no other refers to; undefined when there are several. */
  readonly root: string | undefined;
  /** All that no other refers to. */
  readonly tops: readonly string[];
}

/**
 * Reads what `nix-store --export` wrote. Its files go to the store.
 *
 * @throws UportError UPORT_NIX_EXPORT_INVALID, UPORT_NAR_INVALID, UPORT_NOT_FOUND
 */
export async function readExportStore(file: string, context: ClosureContext): Promise<ExportStore> {
  const objects = new Map<string, StoreObject>();
  try {
    const chunks = createReadStream(file, { highWaterMark: 1 << 20 });
    for await (const each of readNixExport(chunks, { signal: context.signal })) {
      const { entries, files } = await storeNarFiles(each.entries, context);
      const { storePath, references } = await each.description();
      const scan = scanOfEntries(placeEntries(textPath(storePath.slice(1)), entries), files);
      objects.set(storePath, { storePath, references: references.toSorted(), scan });
    }
  } catch (error) {
    context.signal.throwIfAborted();
    throw error instanceof UportError ? error.inFile(file) : systemError(error, file);
  }
  const named = new Set<string>();
  for (const { storePath, references } of objects.values()) {
    for (const each of references) if (each !== storePath) named.add(each);
  }
  const tops = [...objects.keys()].filter((path) => !named.has(path));
  return {
    name: file,
    tops,
    root: tops.length === 1 ? tops[0] : undefined,
    async read(storePath) {
      const object = objects.get(storePath);
      if (object === undefined) throw pathMissing(storePath, file);
      return object;
    },
  };
}
