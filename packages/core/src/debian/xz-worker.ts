// Unpacks a range of a file as one xz stream and posts the bytes to the parent thread.
import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

/** What the worker is asked: bytes `start` to `end` (not included) of `file`. */
export interface XzJob {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** What it answers. The parent sends any message back for each `chunk` that it has used. */
export type XzReport =
  | { readonly chunk: Uint8Array<ArrayBuffer> }
  | { readonly done: true }
  | { readonly fault: string };

/** Chunks on their way to the parent: enough to keep both threads busy. */
const IN_FLIGHT = 4;
const CHUNK = 1 << 20;
const MAX_EMPTY = 8;

// Its exports are found at run time only, so `import` does not see them.
const { XzReadableStream } = createRequire(import.meta.url)(
  'xz-decompress',
) as typeof import('xz-decompress');

async function unpack(job: XzJob, post: (report: XzReport) => void): Promise<void> {
  let free = IN_FLIGHT;
  let wake: (() => void) | undefined;
  parentPort?.on('message', () => {
    free++;
    wake?.();
  });
  const file = await open(job.file, 'r');
  try {
    let batch = new Uint8Array(CHUNK);
    let filled = 0;
    const flush = async (): Promise<void> => {
      while (free === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      free--;
      post({ chunk: batch.subarray(0, filled) });
      batch = new Uint8Array(CHUNK);
      filled = 0;
    };
    let empty = 0;
    let at = job.start;
    const input = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (at >= job.end) {
            controller.close();
            return;
          }
          const room = new Uint8Array(Math.min(CHUNK, job.end - at));
          const { bytesRead } = await file.read(room, 0, room.length, at);
          if (bytesRead === 0) throw new Error('the file is shorter than it should be');
          at += bytesRead;
          controller.enqueue(room.subarray(0, bytesRead));
        },
      },
      { highWaterMark: 0 },
    );
    for await (const part of new XzReadableStream(input)) {
      // A few empty parts are normal; at an end that comes too early they would never cease.
      empty = part.length === 0 && at >= job.end ? empty + 1 : 0;
      if (empty > MAX_EMPTY) throw new Error('the xz stream is cut off');
      for (let used = 0; used < part.length; ) {
        const some = part.subarray(used, used + CHUNK - filled);
        batch.set(some, filled);
        filled += some.length;
        used += some.length;
        if (filled === CHUNK) await flush();
      }
    }
    if (filled > 0) await flush();
  } finally {
    await file.close();
  }
}

const port = parentPort;
if (port) {
  const post = (report: XzReport): void =>
    port.postMessage(report, 'chunk' in report ? [report.chunk.buffer] : []);
  unpack(workerData as XzJob, post)
    .then(
      () => post({ done: true }),
      (error: unknown) => post({ fault: (error as Error).message }),
    )
    .finally(() => port.close());
}
