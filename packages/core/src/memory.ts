// Buffers lie outside V8's heap and hardly press it to collect: what streams through would pile up.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (
  options: { readonly type: 'minor' } | { readonly type: 'major'; readonly flavor: 'last-resort' },
) => void;

let collect: Collect | undefined;

/** Bytes of buffers between two collections. A collection takes about a millisecond. */
const BETWEEN = 4 << 20;
let since = 0;

/** To be told of bytes that were read into buffers which somebody else made and dropped. */
export function collectAfter(bytes: number): void {
  since += bytes;
  if (since < BETWEEN) return;
  since = 0;
  collect ??= findCollect();
  collect({ type: 'minor' });
}

/**
 * Between two phases: after a time of much garbage, V8 gives its room back only when told. Takes
 * some ten milliseconds; nothing is done where `collectAfter` was told of nothing.
 */
export function collectAll(): void {
  if (since === 0 && collect === undefined) return;
  since = 0;
  collect ??= findCollect();
  collect({ type: 'major', flavor: 'last-resort' });
}

/** A context made after the flag was set has the function. */
function findCollect(): Collect {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as Collect;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}

/**
 * Frees the memory under bytes that nobody needs any more. Memory that may be shared, as Node's pool
 * of small buffers is, stays.
 */
export function freeBytes({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

/**
 * Passes chunks on and frees each when the next one is asked for: for chunks that nobody else holds,
 * and a reader that keeps none.
 */
export async function* freeing<T extends Uint8Array>(chunks: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    yield chunk;
    // Not for a reader that stopped: a thread may still have it.
    freeBytes(chunk);
  }
}
