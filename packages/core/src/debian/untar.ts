import { UportError } from '@uport/errors';
import type { HeaderData } from 'tar';

/** One entry of a tar archive. */
export interface TarEntry {
  /** Relative, without `./` at the start and `/` at the end; the root folder itself is `.`. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** Of links: as it stands in the archive. */
  readonly linkTarget: string | undefined;
  /** Offset of its bytes in the archive. */
  readonly offset: number;
  /** Its bytes; can be read once, before the next entry is asked for. */
  content(): AsyncIterable<Uint8Array>;
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'directory',
  SymbolicLink: 'symlink',
  Link: 'hardlink',
};

const BLOCK = 512;
/** Long names and pax headers are read into memory. */
const MAX_META = 1 << 20;

/**
 * Reads a tar archive entry by entry as its bytes come.
 *
 * @throws UportError UPORT_TAR_INVALID
 */
export async function* untar(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const { Header, Pax } = await import('tar');
  const input = new ByteReader(bytes);
  let extended: HeaderData | undefined;
  let everywhere: HeaderData | undefined;
  try {
    for (;;) {
      const block = await input.read(BLOCK);
      // Writers end an archive with empty blocks; a missing end is as good.
      if (block === undefined) return;
      let header = new Header(block);
      if (header.nullBlock) return;
      const meta = META.has(header.type);
      // What extended headers say holds for the entry, not for a further header before it.
      if (!meta && (extended || everywhere)) header = new Header(block, 0, extended, everywhere);
      const size = header.size ?? -1;
      if (!header.cksumValid || !Number.isSafeInteger(size) || size < 0) {
        throw invalid('a header is damaged', input.offset - BLOCK);
      }
      const padding = (BLOCK - (size % BLOCK)) % BLOCK;
      if (meta) {
        if (size > MAX_META) throw invalid('a header is too long', input.offset - BLOCK);
        const body = await input.read(size + padding);
        const text = (body ?? Buffer.alloc(0)).toString('utf8', 0, size);
        if (header.type === 'ExtendedHeader') extended = Pax.parse(text, extended ?? {});
        else if (header.type === 'GlobalExtendedHeader') {
          everywhere = Pax.parse(text, everywhere ?? {}, true);
        } else {
          const value = text.replace(/\0[\s\S]*$/, '');
          const name = header.type === 'NextFileHasLongLinkpath' ? 'linkpath' : 'path';
          extended = { ...extended, [name]: value };
        }
        continue;
      }
      extended = undefined;
      const { offset } = input;
      yield {
        path: (header.path ?? '').replace(/^(?:\.?\/+)+/, '').replace(/\/+$/, '') || '.',
        type: TYPES[header.type] ?? 'other',
        size,
        mode: (header.mode ?? 0o644) & 0o7777,
        linkTarget: header.linkpath || undefined,
        offset,
        content: () => input.part(size),
      };
      for await (const _ of input.part(offset + size + padding - input.offset));
    }
  } finally {
    await input.close();
  }
}

const META: ReadonlySet<string> = new Set([
  'ExtendedHeader',
  'OldExtendedHeader',
  'GlobalExtendedHeader',
  'NextFileHasLongPath',
  'NextFileHasLongLinkpath',
  'OldGnuLongPath',
]);

/** Takes bytes from a stream in the amounts that are asked for. */
class ByteReader {
  offset = 0;
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes; undefined at the end of the stream. */
  async read(length: number): Promise<Buffer | undefined> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    for await (const chunk of this.part(length, true)) {
      buffer.set(chunk, filled);
      filled += chunk.length;
    }
    return filled < length ? undefined : buffer;
  }

  /** The next `length` bytes as they come. */
  async *part(length: number, mayEnd = false): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done) {
          if (mayEnd && left === length) return;
          throw invalid('it is cut off', this.offset);
        }
        this.#rest = next.value;
        continue;
      }
      const chunk = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(chunk.length);
      left -= chunk.length;
      this.offset += chunk.length;
      yield chunk;
    }
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

function invalid(what: string, offset: number): UportError {
  return new UportError({
    code: 'UPORT_TAR_INVALID',
    category: 'input',
    message: `the tar archive cannot be read: ${what}`,
    hint: 'get the file again',
    offset,
  });
}
