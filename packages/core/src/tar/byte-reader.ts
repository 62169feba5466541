/** Takes bytes out of a stream in the sizes that a format asks for. */
export interface ByteReader {
  /** Bytes taken so far. */
  readonly offset: number;
  /** The next bytes; fewer only at the end of the stream. For small lengths: they are held in memory. */
  take(length: number): Promise<Buffer>;
  /** Up to `length` bytes, at least one; undefined at the end. */
  some(length: number): Promise<Buffer | undefined>;
}

export function byteReader(chunks: AsyncIterable<Uint8Array>): ByteReader {
  const source = chunks[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  const refill = async (): Promise<boolean> => {
    while (held.length === 0) {
      const next = await source.next();
      if (next.done) return false;
      const { buffer, byteOffset, byteLength } = next.value;
      held = Buffer.from(buffer, byteOffset, byteLength);
    }
    return true;
  };
  const some = async (length: number): Promise<Buffer | undefined> => {
    if (!(await refill())) return undefined;
    const part = held.subarray(0, length);
    held = held.subarray(part.length);
    offset += part.length;
    return part;
  };
  return {
    get offset() {
      return offset;
    },
    some,
    async take(length) {
      const first = await some(length);
      if (first === undefined || first.length === length) return first ?? Buffer.alloc(0);
      const parts = [first];
      let missing = length - first.length;
      while (missing > 0) {
        const next = await some(missing);
        if (next === undefined) break;
        parts.push(next);
        missing -= next.length;
      }
      return Buffer.concat(parts);
    },
  };
}
