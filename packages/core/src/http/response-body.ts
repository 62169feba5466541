import { collectAfter } from '../memory.ts';
import type { Watchdog } from './watchdog.ts';

export interface BodyOptions {
  readonly watch: Watchdog;
  /** The caller's; its reason is thrown as it is. */
  readonly signal: AbortSignal;
  /** Makes the error of a connection that breaks or stalls. */
  readonly broken: (error: unknown) => Error;
}

/** The body of an answer of `fetch`, piece by piece; to be read to its end or given up. */
export async function* responseBody(
  response: Response,
  { watch, signal, broken }: BodyOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  try {
    while (reader) {
      let part: Awaited<ReturnType<typeof reader.read>>;
      try {
        part = await reader.read();
      } catch (error) {
        signal.throwIfAborted();
        throw broken(error);
      }
      if (part.done) return;
      watch.alive();
      yield part.value;
      // fetch dropped buffers of the same size on the way.
      collectAfter(part.value.length);
    }
  } finally {
    watch.stop();
    await reader?.cancel().catch(() => undefined);
  }
}
