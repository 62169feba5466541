import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { UportError } from '@uport/errors';
import type { XzJob, XzReport } from './xz-worker.ts';

/** The worker beside this file: `.ts` in the source tree, `.js` once built. */
const WORKER = new URL(
  `./xz-worker${path.extname(fileURLToPath(import.meta.url))}`,
  import.meta.url,
);

/**
 * Unpacks one xz stream that lies in a file, in a thread of its own: two at once use two cores.
 *
 * @param start offset of its first byte
 * @param end offset past its last byte
 * @throws UportError UPORT_XZ_INVALID
 */
export async function* unxz(
  file: string,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const job: XzJob = { file, start, end };
  // Flags of the parent, such as a test runner's loaders, mean nothing to it.
  const worker = new Worker(WORKER, { workerData: job, execArgv: [] });
  const reports: XzReport[] = [];
  let wake: (() => void) | undefined;
  let failed: unknown;
  const tell = (report: XzReport | undefined, error?: unknown): void => {
    if (report) reports.push(report);
    else failed ??= error;
    wake?.();
  };
  const abort = (): void => tell(undefined, signal.reason);
  worker.on('message', (report: XzReport) => tell(report));
  worker.on('error', (error) => tell(undefined, error));
  worker.on('exit', () => tell(undefined, new Error('its thread ended early')));
  signal.addEventListener('abort', abort, { once: true });
  try {
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
      if ('done' in report) return;
      if ('fault' in report) throw invalid(file, new Error(report.fault));
      worker.postMessage('next');
      yield report.chunk;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

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
