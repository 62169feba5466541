import { UportError } from '@uport/errors';
import { displayBytes } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';
import { isNarName, NAR_ALIGNMENT, NAR_MAGIC, narPadding } from './nar-wire.ts';

/** One thing in a NAR. The root's path is empty. */
export type NarEntry =
  | { readonly type: 'directory'; readonly path: BytePath | '' }
  | {
      readonly type: 'symlink';
      readonly path: BytePath | '';
      /** Bytes as Latin-1; never followed here. */
      readonly target: string;
    }
  | {
      readonly type: 'file';
      readonly path: BytePath | '';
      readonly executable: boolean;
      /** In bytes. */
      readonly size: number;
      /** Once, and before the next entry is asked for; what is not read is skipped. */
      readonly contents: AsyncIterable<Uint8Array>;
    };

export interface ReadNarOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the whole archive, where known: a file that says it is longer is refused at once. */
  readonly size?: number;
  /** Folders in folders that are read; 1,024 unless told. */
  readonly maxDepth?: number;
}

/** Linux knows no longer names. */
const MAX_NAME = 255;
/** Linux knows no longer link targets. */
const MAX_TARGET = 4095;
/** No token of the grammar is longer than its first. */
const MAX_WORD = NAR_MAGIC.length;

/**
 * Yields what a NAR holds, in its order: folders before their entries. Only the one spelling that
 * Nix writes is taken: sorted names, each once, none of them `.`, `..` or with `/` or NUL; zeros as
 * padding; nothing after the end. Memory use is bounded by depth and name length, whatever the
 * archive says.
 *
 * @throws UportError UPORT_NAR_INVALID with the offset in the archive
 */
export async function* readNar(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadNarOptions = {},
): AsyncGenerator<NarEntry, void, undefined> {
  const reader = narReader(chunks, options);
  try {
    yield* reader.entries();
    await reader.end();
  } finally {
    await reader.close();
  }
}

/** Takes NARs and what stands between them out of a stream. */
export interface NarReader {
  /** What the NAR that begins here holds, as `readNar` does; to be read to its end. */
  entries(): AsyncGenerator<NarEntry, void, undefined>;
  /** A bare u64. @throws UportError UPORT_NAR_INVALID for more than 2^53 - 1 */
  number(): Promise<number>;
  /** A length, bytes as Latin-1, and zeros. @throws UportError UPORT_NAR_INVALID */
  text(maxLength: number, what: string): Promise<string>;
  /** @throws UportError UPORT_NAR_INVALID when more follows */
  end(): Promise<void>;
  close(): Promise<void>;
}

/** For formats that hold NARs among other things. `readNar` serves for one alone. */
export function narReader(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadNarOptions = {},
): NarReader {
  const input = tokenReader(chunks, options.signal);
  return {
    entries: () => readEntries(input, options),
    number: input.length,
    text: input.token,
    end: input.end,
    close: input.close,
  };
}

async function* readEntries(
  input: TokenReader,
  { maxDepth = 1024, size: archiveSize = Number.POSITIVE_INFINITY }: ReadNarOptions,
): AsyncGenerator<NarEntry, void, undefined> {
  await input.expect(NAR_MAGIC);
  /** The folders that are open, each with the name read last. */
  const open: { path: BytePath | ''; last: string }[] = [];
  let path: BytePath | '' = '';
  for (let more = true; more; ) {
    await input.expect('(');
    await input.expect('type');
    const type = await input.word();
    if (type === 'directory') {
      if (open.length >= maxDepth) {
        throw invalid(`holds folders more than ${maxDepth} deep`, input.offset);
      }
      open.push({ path, last: '' });
      yield { type, path };
    } else if (type === 'symlink') {
      await input.expect('target');
      const target = await input.token(MAX_TARGET, 'a link target');
      if (target === '' || target.includes('\0')) {
        throw invalid('has a link target that no link can have', input.offset);
      }
      yield { type, path, target };
    } else if (type === 'regular') {
      const word = await input.word();
      const executable = word === 'executable';
      if (executable) {
        await input.expect('');
        await input.expect('contents');
      } else if (word !== 'contents') {
        throw invalid(`has ${JSON.stringify(word)} where "contents" belongs`, input.offset);
      }
      const size = await input.length();
      if (size > archiveSize - input.offset) {
        throw invalid('has a file that ends after the archive does', input.offset);
      }
      const body = input.body(size);
      yield { type: 'file', path, executable, size, contents: body.contents };
      await body.skip();
    } else {
      throw invalid(`has the unknown type ${JSON.stringify(type)}`, input.offset);
    }
    // A folder stays open; everything else ends here, with the entry it stands in.
    if (type !== 'directory') {
      await input.expect(')');
      if (open.length > 0) await input.expect(')');
    }
    more = false;
    while (!more && open.length > 0) {
      const word = await input.word();
      if (word === 'entry') {
        path = await entryPath(input, open[open.length - 1] as (typeof open)[number]);
        more = true;
      } else if (word === ')') {
        open.pop();
        if (open.length > 0) await input.expect(')');
      } else {
        throw invalid(`has ${JSON.stringify(word)} where an entry belongs`, input.offset);
      }
    }
  }
}

async function entryPath(
  input: TokenReader,
  folder: { readonly path: BytePath | ''; last: string },
): Promise<BytePath> {
  await input.expect('(');
  await input.expect('name');
  const name = await input.token(MAX_NAME, 'a name');
  const shown = JSON.stringify(displayBytes(name));
  if (!isNarName(name)) throw invalid(`has the name ${shown}`, input.offset);
  // Latin-1 strings compare as their bytes do.
  if (name <= folder.last) {
    const fault = name === folder.last ? 'twice' : 'after a later one';
    throw invalid(`has the name ${shown} ${fault}`, input.offset);
  }
  folder.last = name;
  await input.expect('node');
  return (folder.path === '' ? name : `${folder.path}/${name}`) as BytePath;
}

interface TokenReader {
  /** Bytes taken so far. */
  readonly offset: number;
  token(maxLength: number, what: string): Promise<string>;
  word(): Promise<string>;
  expect(word: string): Promise<void>;
  length(): Promise<number>;
  body(size: number): { contents: AsyncIterable<Uint8Array>; skip(): Promise<void> };
  end(): Promise<void>;
  close(): Promise<void>;
}

function tokenReader(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): TokenReader {
  const source = chunks[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  let ended = false;

  const refill = async (): Promise<boolean> => {
    while (held.length === 0 && !ended) {
      signal?.throwIfAborted();
      const next = await source.next();
      if (next.done) ended = true;
      else held = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    return held.length > 0;
  };
  const some = async (length: number): Promise<Buffer> => {
    if (!(await refill())) throw invalid('ends early', offset);
    const part = held.subarray(0, length);
    held = held.subarray(part.length);
    offset += part.length;
    return part;
  };
  const take = async (length: number): Promise<Buffer> => {
    if (length === 0) return Buffer.alloc(0);
    const first = await some(length);
    if (first.length === length) return first;
    const parts = [first];
    for (let missing = length - first.length; missing > 0; ) {
      const next = await some(missing);
      parts.push(next);
      missing -= next.length;
    }
    return Buffer.concat(parts);
  };
  const length = async (): Promise<number> => {
    const at = offset;
    const value = (await take(NAR_ALIGNMENT)).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw invalid(`has a length of ${value}, more than any file`, at);
    }
    return Number(value);
  };
  const padding = async (size: number): Promise<void> => {
    const at = offset;
    const zeros = await take(narPadding(size));
    if (zeros.some((byte) => byte !== 0)) throw invalid('has padding other than zeros', at);
  };
  const token = async (maxLength: number, what: string): Promise<string> => {
    const at = offset;
    const size = await length();
    if (size > maxLength) throw invalid(`has ${what} of ${size} bytes`, at);
    const text = (await take(size)).toString('latin1');
    await padding(size);
    return text;
  };
  const word = (): Promise<string> => token(MAX_WORD, 'a word');

  return {
    get offset() {
      return offset;
    },
    token,
    word,
    length,
    async expect(expected) {
      const at = offset;
      const found = await word();
      if (found === expected) return;
      const shown = JSON.stringify(displayBytes(found));
      throw invalid(`has ${shown} where ${JSON.stringify(expected)} belongs`, at);
    },
    body(size) {
      let left = size;
      let over = false;
      async function* contents(): AsyncGenerator<Uint8Array, void, undefined> {
        if (over) {
          throw new UportError({
            code: 'UPORT_NAR_ENTRY_PASSED',
            category: 'internal',
            message: 'the contents of an entry were asked for after the next entry',
            hint: 'read each file before going on',
          });
        }
        while (left > 0) {
          const part = await some(left);
          left -= part.length;
          yield part;
        }
      }
      return {
        contents: { [Symbol.asyncIterator]: contents },
        async skip() {
          over = true;
          while (left > 0) left -= (await some(left)).length;
          await padding(size);
        },
      };
    },
    async end() {
      if (await refill()) throw invalid('goes on after its end', offset);
    },
    async close() {
      if (!ended) await source.return?.();
    },
  };
}

function invalid(what: string, offset: number): UportError {
  return new UportError({
    code: 'UPORT_NAR_INVALID',
    category: 'input',
    message: `the NAR ${what}`,
    hint: 'it is damaged or was made to mislead; get it again',
    offset,
  });
}
