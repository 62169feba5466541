import { setTimeout as sleep } from 'node:timers/promises';
import type { UportError } from '@uport/errors';

const ATTEMPTS = 5;
const FIRST_DELAY = 250;
/** A server that asks for more patience than this gets an error instead. Milliseconds. */
export const LONGEST_WAIT = 120_000;

/** Faults that may pass, with the wait in milliseconds that the server asked for. */
const passing = new WeakMap<UportError, number>();

/** Marks a fault as one that may pass by itself. */
export function mayPass(fault: UportError, retryAfter = 0): UportError {
  passing.set(fault, retryAfter);
  return fault;
}

/**
 * Runs `attempt` up to five times while it fails with a fault that may pass, waiting 250 ms, then
 * twice as long each time, or what the server asked for when that is longer.
 */
export async function withRetries<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      const wanted = passing.get(error as UportError);
      if (wanted === undefined || tries >= ATTEMPTS || wanted > LONGEST_WAIT) {
        // Retries around these must not multiply them.
        passing.delete(error as UportError);
        throw error;
      }
      const wait = Math.max(wanted, FIRST_DELAY * 2 ** (tries - 1));
      await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Milliseconds that a Retry-After header (RFC 9110, 10.2.3) asks to wait; 0 when it says nothing. */
export function parseRetryAfter(value: string | null, now: number): number {
  if (value === null) return 0;
  if (/^\s*[0-9]{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}
