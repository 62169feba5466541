// Unpacks an xz stream and posts the bytes to the parent thread.
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type MessagePort, parentPort } from 'node:worker_threads';

/** A stream to unpack: `before`, bytes `start` to `end` (not included) of `file`, `after`. */
export interface XzJob {
  readonly file: string;
  readonly before: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly after: Uint8Array;
}

/**
 * What the worker is told: a job, that a chunk was used (its memory comes back), or that no more is
 * wanted of a job.
 */
export type XzOrder =
  | { readonly id: number; readonly job: XzJob }
  | { readonly id: number; readonly used: ArrayBuffer }
  | { readonly id: number; readonly stop: true };

/** What it answers, about one job after another. */
export type XzReport = { readonly id: number } & (
  | { readonly chunk: Uint8Array<ArrayBuffer> }
  | { readonly done: true }
  | { readonly fault: string }
);

/** Chunks on their way to the parent: enough to keep both threads busy. */
const IN_FLIGHT = 4;
const CHUNK = 1 << 18;
const MAX_EMPTY = 8;

// Its exports are found at run time only, so `import` does not see them.
const { XzReadableStream } = createRequire(import.meta.url)(
  'xz-decompress',
) as typeof import('xz-decompress');

async function* readInput(job: XzJob): AsyncGenerator<Uint8Array> {
  if (job.before.length > 0) yield job.before;
  const file = await open(job.file, 'r');
  try {
    // A piece is used up before the next one is asked for.
    const room = new Uint8Array(Math.min(CHUNK, job.end - job.start));
    for (let at = job.start; at < job.end; ) {
      const wanted = Math.min(room.length, job.end - at);
      const { bytesRead } = await file.read(room, 0, wanted, at);
      if (bytesRead === 0) throw new Error('the file is shorter than it should be');
      at += bytesRead;
      yield room.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
  if (job.after.length > 0) yield job.after;
}

class Stopped extends Error {}

/** Memory of chunks that came back. Fresh memory for each would pile up until it is collected. */
const spare: ArrayBuffer[] = [];

function takeChunk(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(spare.pop() ?? new ArrayBuffer(CHUNK));
}

function giveBack(memory: ArrayBuffer): void {
  if (memory.byteLength === CHUNK && spare.length < IN_FLIGHT) spare.push(memory);
}

/** One job at work. */
class Unpacking {
  readonly id: number;
  readonly #port: MessagePort;
  #free = IN_FLIGHT;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(id: number, port: MessagePort) {
    this.id = id;
    this.#port = port;
  }

  used(): void {
    this.#free++;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async run(job: XzJob): Promise<void> {
    let batch = takeChunk();
    let filled = 0;
    const flush = async (): Promise<void> => {
      await this.#turn();
      const chunk = batch.subarray(0, filled);
      this.#port.postMessage({ id: this.id, chunk } satisfies XzReport, [chunk.buffer]);
      batch = takeChunk();
      filled = 0;
    };
    const source = readInput(job);
    let ended = false;
    const input = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const next = await source.next();
          if (next.done) {
            ended = true;
            controller.close();
          } else controller.enqueue(next.value);
        },
        cancel: async () => void (await source.return(undefined)),
      },
      { highWaterMark: 0 },
    );
    let empty = 0;
    for await (const part of new XzReadableStream(input)) {
      if (this.#stopped) throw new Stopped();
      // A few empty parts are normal; at an end that comes too early they would never cease.
      empty = part.length === 0 && ended ? empty + 1 : 0;
      if (empty > MAX_EMPTY) throw new Error('the xz stream is cut off');
      for (let used = 0; used < part.length; ) {
        const some = part.subarray(used, used + CHUNK - filled);
        batch.set(some, filled);
        filled += some.length;
        used += some.length;
        if (filled === CHUNK) await flush();
      }
      // Frees the part's memory now.
      (part.buffer as ArrayBuffer).transfer(0);
    }
    if (filled > 0) await flush();
    giveBack(batch.buffer);
  }

  /** Waits until the parent can take one more chunk. */
  async #turn(): Promise<void> {
    while (this.#free === 0 && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#stopped) throw new Stopped();
    this.#free--;
  }
}

function serve(port: MessagePort): void {
  const waiting = new Map<number, { readonly work: Unpacking; readonly job: XzJob }>();
  let busy = false;
  const next = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    for (const [id, { work, job }] of waiting) {
      try {
        await work.run(job);
        port.postMessage({ id, done: true } satisfies XzReport);
      } catch (error) {
        if (!(error instanceof Stopped)) {
          port.postMessage({ id, fault: (error as Error).message } satisfies XzReport);
        }
      }
      waiting.delete(id);
    }
    busy = false;
  };
  port.on('message', (order: XzOrder) => {
    if ('job' in order) {
      waiting.set(order.id, { work: new Unpacking(order.id, port), job: order.job });
      void next();
    } else if ('stop' in order) waiting.get(order.id)?.work.stop();
    else {
      giveBack(order.used);
      waiting.get(order.id)?.work.used();
    }
  });
}

if (parentPort) serve(parentPort);
