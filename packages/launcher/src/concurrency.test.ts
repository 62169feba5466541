// Many first starts at once, and starts that are killed: always the whole app or a clear error.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bench, makeBench, run, THIS_HOST } from './testing/launch.ts';
import type { Node } from './testing/payload.ts';
import { type App, exampleApp, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('concurrency.test.ts: skipped, there is no launcher for this machine');

/** Bytes that zstd cannot make small. */
function noise(seed: string, size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, size);
}

/** An app that tells the digest of everything that was unpacked for it. */
const FILES = Array.from({ length: 20 }, (_, i) => `data/${String(i).padStart(2, '0')}`);
const TREE: readonly Node[] = [
  { file: 'sum', content: '#!/bin/sh\ncd "$(dirname "$0")" && cat data/* | sha256sum\n' },
  { dir: 'data', mode: 0o555 },
  ...FILES.map((file): Node => ({ file, content: noise(file, 50_000), mode: 0o444 })),
];
const RIGHT = `${createHash('sha256')
  .update(Buffer.concat(FILES.map((file) => noise(file, 50_000))))
  .digest('hex')}  -\n`;

describe.skipIf(!THIS_HOST)('starts', () => {
  let bench: Bench;
  let app: App;
  beforeEach(() => {
    bench = makeBench();
    const programs = [{ name: 'sum', path: 'sum' }];
    app = writeApp(bench, host, exampleApp(host, { nodes: TREE, programs }));
  });
  afterEach(() => bench.remove());

  const cache = () => bench.at('app.cache');
  const start = (): ChildProcess =>
    spawn(app.file, [], {
      env: { PATH: '/usr/bin:/bin', UPORT_CACHE_DIR: cache() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const ended = (child: ChildProcess) =>
    new Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string }>(
      (resolve) => {
        let [stdout, stderr] = ['', ''];
        child.stdout?.setEncoding('latin1').on('data', (text) => {
          stdout += text;
        });
        child.stderr?.setEncoding('latin1').on('data', (text) => {
          stderr += text;
        });
        child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
      },
    );
  const WHOLE = { status: 0, signal: null, stdout: RIGHT, stderr: '' };
  const inCache = () => readdirSync(cache()).sort();
  const name = () => `${app.payload.id}-${host}`;

  test('100 at once, the first ones', async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => ended(start())));
    for (const one of all) expect(one).toEqual(WHOLE);
    expect(inCache()).toEqual([name(), `${name()}.lock`]);
  });

  test('100 at once on a cache that is damaged', async () => {
    await ended(start());
    appendFileSync(`${app.folder}/root/sum`, 'exit 3\n');
    const all = await Promise.all(Array.from({ length: 100 }, () => ended(start())));
    for (const one of all) expect(one).toEqual(WHOLE);
    expect(inCache()).toEqual([name(), `${name()}.lock`]);
  });

  test('200 first starts, each killed at some moment: the next one is whole', async () => {
    // On a busy machine the first may take very long.
    const took = Math.min(
      300,
      await time(async () => {
        await ended(start());
      }),
    );
    for (let i = 0; i < 200; i++) {
      // Sometimes on top of what the last one left, sometimes from nothing.
      if (i % 3 === 0) run('rm', ['-rf', cache()]);
      else rmSync(`${app.folder}/manifest`, { force: true });
      const child = start();
      const end = ended(child);
      await sleep((took * ((i * 7) % 100)) / 80);
      child.kill('SIGKILL');
      const one = await end;
      if (one.signal === null) expect(one).toEqual(WHOLE);
      if (i % 10 === 9) expect(await ended(start())).toEqual(WHOLE);
    }
    expect(await ended(start())).toEqual(WHOLE);
    expect(inCache()).toEqual([name(), `${name()}.lock`]);
  }, 120_000);

  test('waits for another that unpacks, and goes on when that is killed', async () => {
    run('mkdir', ['-m', '700', cache()]);
    const lock = `${cache()}/${name()}.lock`;
    const holder = spawn('flock', ['--no-fork', lock, 'sh', '-c', 'echo held; exec sleep 20'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const child = start();
    let over = false;
    const end = ended(child).finally(() => {
      over = true;
    });
    await sleep(300);
    expect(over).toBe(false);
    expect(inCache()).toEqual([`${name()}.lock`]);
    holder.kill('SIGKILL');
    expect(await end).toEqual(WHOLE);
  });
});

/** In milliseconds. */
async function time(work: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}
