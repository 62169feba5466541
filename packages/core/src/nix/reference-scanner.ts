// How Nix finds what a store object refers to: by the hash parts of store paths in its bytes.
import { nixBase32Length } from './base32.ts';

/** Digits in a store path's hash part. */
const LENGTH = nixBase32Length(20);

/** Which bytes are digits of Nix's base 32. */
const DIGITS = (() => {
  const table = new Uint8Array(256);
  for (const digit of Buffer.from('0123456789abcdfghijklmnpqrsvwxyz')) table[digit] = 1;
  return table;
})();

/**
 * Looks for hash parts in bytes that come piece by piece. What it finds is what Nix records as
 * references (`scanForReferences`), when `known` holds the same paths.
 */
export class ReferenceScanner {
  /** The hash parts that were seen. */
  readonly found = new Set<string>();
  readonly #known: { has(hash: string): boolean };
  readonly #seen: ((hash: string, offset: number) => void) | undefined;
  #tail = Buffer.alloc(0);
  #position = 0;

  /**
   * @param known hash parts that count: 32 digits each
   * @param seen told of each place where one stands, by its offset in the file
   */
  constructor(
    known: { has(hash: string): boolean },
    seen?: (hash: string, offset: number) => void,
  ) {
    this.#known = known;
    this.#seen = seen;
  }

  /** A reference does not go on from one file into the next. */
  startFile(): void {
    this.#tail = Buffer.alloc(0);
    this.#position = 0;
  }

  add(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const start = this.#position;
    this.#position += bytes.length;
    // The seam: the end of the last piece and what may complete it.
    if (this.#tail.length > 0) {
      const seam = Buffer.concat([this.#tail, bytes.subarray(0, LENGTH - 1)]);
      this.#search(seam, start - this.#tail.length);
      if (bytes.length < LENGTH - 1) {
        this.#tail = Buffer.from(seam.subarray(-(LENGTH - 1)));
        return;
      }
    }
    this.#search(bytes, start);
    this.#tail = Buffer.from(bytes.subarray(-(LENGTH - 1)));
  }

  #search(bytes: Buffer, start: number): void {
    for (let at = 0; at + LENGTH <= bytes.length; ) {
      let digit = LENGTH - 1;
      while (digit >= 0 && DIGITS[bytes[at + digit] as number] === 1) digit--;
      if (digit >= 0) {
        // No hash part can hold that byte: go past it.
        at += digit + 1;
        continue;
      }
      const hash = bytes.toString('latin1', at, at + LENGTH);
      if (this.#known.has(hash)) {
        this.found.add(hash);
        this.#seen?.(hash, start + at);
      }
      at++;
    }
  }
}
