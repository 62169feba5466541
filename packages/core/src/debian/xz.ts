import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { UportError } from '@uport/errors';
import { frameXzBlocks, type XzIndex } from './xz-index.ts';
import type { XzJob, XzOrder, XzReport } from './xz-worker.ts';

/** The worker beside this file: `.ts` in the source tree, `.js` once built. */
const WORKER = new URL(
  `./xz-worker${path.extname(fileURLToPath(import.meta.url))}`,
  import.meta.url,
);

/**
 * Unpacks one xz stream that lies in a file, in a thread of its own: two at once use two cores. A
 * chunk holds its bytes only until the next one is asked for.
 *
 * @param start offset of its first byte
 * @param end offset past its last byte
 * @throws UportError UPORT_XZ_INVALID
 */
export function unxz(
  file: string,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const nothing = new Uint8Array(0);
  return run({ file, before: nothing, start, end, after: nothing }, signal);
}

/**
 * As `unxz`, from one block of the stream to its end, without unpacking what comes before.
 *
 * @throws UportError UPORT_XZ_INVALID
 */
export function unxzFrom(
  file: string,
  index: XzIndex,
  block: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const blocks = index.blocks.slice(block);
  const start = blocks[0]?.offset ?? 0;
  const last = blocks.at(-1);
  const end = last ? last.offset + Math.ceil(last.unpaddedSize / 4) * 4 : start;
  return run({ file, ...frameXzBlocks(index.flags, blocks), start, end }, signal);
}

async function* run(job: XzJob, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const { file } = job;
  const worker = hire();
  const id = nextId++;
  const order = (each: XzOrder): void =>
    worker.postMessage(each, 'used' in each ? [each.used] : []);
  const reports: XzReport[] = [];
  let wake: (() => void) | undefined;
  let failed: unknown;
  let finished = false;
  const fail = (error: unknown): void => {
    failed ??= error;
    wake?.();
  };
  const hear = (report: XzReport): void => {
    if (report.id !== id) return;
    reports.push(report);
    wake?.();
  };
  const end = (): void => fail(new Error('its thread ended early'));
  const abort = (): void => wake?.();
  worker.on('message', hear);
  worker.on('error', fail);
  worker.on('exit', end);
  signal.addEventListener('abort', abort, { once: true });
  try {
    order({ id, job });
    for (;;) {
      signal.throwIfAborted();
      const report = reports.shift();
      if (report === undefined) {
        if (failed) throw invalid(file, failed);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      finished = !('chunk' in report);
      if ('done' in report) return;
      if ('fault' in report) throw invalid(file, new Error(report.fault));
      yield report.chunk;
      order({ id, used: report.chunk.buffer });
    }
  } finally {
    signal.removeEventListener('abort', abort);
    worker.off('message', hear);
    worker.off('error', fail);
    worker.off('exit', end);
    if (!finished) order({ id, stop: true });
    if (failed) await worker.terminate();
    else rest(worker);
  }
}

let nextId = 0;
/** Threads with nothing to do. Starting one takes longer than many a job. */
const resting = new Map<Worker, NodeJS.Timeout>();
const MAX_RESTING = 4;
/** What a thread keeps at once is small; a roomier heap would fill with garbage before it is cleaned. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
const REST = 250;

function hire(): Worker {
  for (const [worker, timer] of resting) {
    clearTimeout(timer);
    resting.delete(worker);
    worker.off('error', ignore);
    worker.ref();
    return worker;
  }
  // Flags of the parent, such as a test runner's loaders, mean nothing to it.
  const worker = new Worker(WORKER, { execArgv: [], resourceLimits: LIMITS });
  worker.once('exit', () => {
    clearTimeout(resting.get(worker));
    resting.delete(worker);
  });
  return worker;
}

/** A resting thread does not keep the process alive, and ends by itself after a while. */
function rest(worker: Worker): void {
  worker.on('error', ignore);
  worker.unref();
  if (resting.size >= MAX_RESTING) {
    void worker.terminate();
    return;
  }
  const timer = setTimeout(() => {
    resting.delete(worker);
    void worker.terminate();
  }, REST);
  timer.unref();
  resting.set(worker, timer);
}

/** Ends the threads that have nothing to do, and with them the tens of MiB that each holds. */
export async function dismissResting(): Promise<void> {
  const workers = [...resting.keys()];
  for (const timer of resting.values()) clearTimeout(timer);
  resting.clear();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

function ignore(): void {}

function invalid(file: string, cause: unknown): UportError {
  return new UportError({
    code: 'UPORT_XZ_INVALID',
    category: 'input',
    message: `the xz data cannot be unpacked: ${(cause as Error).message}`,
    hint: 'get the file again',
    file,
    cause,
  });
}
