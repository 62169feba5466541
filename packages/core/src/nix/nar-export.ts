// What `nix-store --export` writes: NARs one after the other, each with its path and references.
import { UportError } from '@uport/errors';
import { type NarEntry, type NarReader, narReader, type ReadNarOptions } from './nar-reader.ts';
import { parseStorePath } from './store-path.ts';

/** Stands between a NAR and what is said of it ("NIXE"). */
const EXPORT_MAGIC = 0x4558494e;
const MAX_PATH = 4096;
const MAX_REFERENCES = 100_000;

/** One store object of an export. */
export interface ExportedObject {
  /** To be read to its end before `description` is asked for. */
  readonly entries: AsyncIterable<NarEntry>;
  /** What stands behind the NAR. */
  description(): Promise<ExportedDescription>;
}

export interface ExportedDescription {
  readonly storePath: string;
  /** Full store paths; the object itself may be among them. */
  readonly references: readonly string[];
}

/**
 * Yields the objects of an export in its order: what is referred to comes first.
 *
 * @throws UportError UPORT_NIX_EXPORT_INVALID, UPORT_NAR_INVALID
 */
export async function* readNixExport(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadNarOptions = {},
): AsyncGenerator<ExportedObject, void, undefined> {
  const reader = narReader(chunks, options);
  try {
    for (;;) {
      const more = await reader.number();
      if (more === 0) break;
      if (more !== 1) throw invalid(`has the mark ${more} where an object or the end belongs`);
      let described: Promise<ExportedDescription> | undefined;
      const describe = () => {
        described ??= describeObject(reader);
        return described;
      };
      yield { entries: reader.entries(), description: describe };
      await describe();
    }
    await reader.end();
  } finally {
    await reader.close();
  }
}

async function describeObject(reader: NarReader): Promise<ExportedDescription> {
  if ((await reader.number()) !== EXPORT_MAGIC) throw invalid('has no mark behind a NAR');
  const storePath = await storePathOf(reader);
  const count = await reader.number();
  if (count > MAX_REFERENCES) throw invalid(`has an object with ${count} references`);
  const references: string[] = [];
  while (references.length < count) references.push(await storePathOf(reader));
  await reader.text(MAX_PATH, 'a deriver');
  // Signatures of Nix 1: nobody writes them any more, but their place is kept.
  if ((await reader.number()) === 1) await reader.text(MAX_PATH, 'a signature');
  return { storePath, references };
}

async function storePathOf(reader: NarReader): Promise<string> {
  const path = await reader.text(MAX_PATH, 'a store path');
  parseStorePath(path);
  return path;
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_EXPORT_INVALID',
    category: 'input',
    message: `the file ${what}, so it is no whole export`,
    hint: 'make it with nix-store --export $(nix-store -qR PATH) > FILE',
  });
}
