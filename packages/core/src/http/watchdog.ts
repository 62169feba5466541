/** Ends a connection that gives no sign of life. */
export interface Watchdog {
  /** For `fetch`. */
  readonly signal: AbortSignal;
  alive(): void;
  stop(): void;
}

/** Nothing sent and nothing answered for so long ends a try, unless told otherwise. Milliseconds. */
export const STALL_TIMEOUT = 60_000;

/** Aborts when no sign of life came for a while, or the caller's signal says so. */
export function watchdog(signal: AbortSignal, limit: number = STALL_TIMEOUT): Watchdog {
  const stall = new AbortController();
  const abort = () => stall.abort(new Error(`no byte came for ${limit / 1000} s`));
  const timer = setTimeout(abort, limit);
  return {
    signal: AbortSignal.any([signal, stall.signal]),
    alive: () => void timer.refresh(),
    stop: () => clearTimeout(timer),
  };
}
