import { collectAll } from '../memory.ts';

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs works one after another, in the order they were asked for. Unpacking takes tens of MiB at a
 * time: downloads go on meanwhile, but no second one begins. A work must not ask for a turn itself.
 */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = last.then(work).finally(collectAll);
  last = turn.catch(() => undefined);
  return turn;
}
