import { collectAll } from '../memory.ts';
import { dismissResting } from './xz.ts';

let last: Promise<unknown> = Promise.resolve();
let wanted = 0;

/**
 * Runs works one after another, in the order they were asked for. Unpacking takes tens of MiB at a
 * time: downloads go on meanwhile, but no second one begins, and what it took is given back at its
 * end. A work must not ask for a turn itself.
 */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  wanted++;
  const turn = last.then(work).finally(async () => {
    wanted--;
    if (wanted === 0) await dismissResting();
    collectAll();
  });
  last = turn.catch(() => undefined);
  return turn;
}
