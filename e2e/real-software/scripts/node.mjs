// A hot loop for the compiler, workers, children of every kind, and files.
import { execFileSync, fork, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { gunzipSync, gzipSync } from 'node:zlib';

const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));

if (!isMainThread) parentPort.postMessage(fibonacci(workerData));
else if (process.argv[2] === 'child') process.send({ argv: process.argv.length });
else {
  console.log(fibonacci(24));
  const results = await Promise.all(
    [10, 15, 20].map(
      (workerData) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData });
          worker.on('message', resolve);
          worker.on('error', reject);
        }),
    ),
  );
  console.log(results.join(' '));
  console.log(execFileSync('sh', ['-c', 'seq 4 | paste -sd-']).toString().trim());
  console.log(
    await new Promise((resolve) =>
      fork(new URL(import.meta.url).pathname, ['child']).on('message', ({ argv }) => resolve(argv)),
    ),
  );
  console.log(
    await new Promise((resolve) =>
      spawn('sh', ['-c', 'kill -TERM $$']).on('exit', (_code, signal) => resolve(signal)),
    ),
  );
  const bytes = Buffer.alloc(300_000, 'uport');
  writeFileSync('packed', gzipSync(bytes));
  console.log(
    createHash('sha256')
      .update(gunzipSync(readFileSync('packed')))
      .digest('hex')
      .slice(0, 16),
  );
}
