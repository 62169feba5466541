import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface CountingRegistry {
  /** `127.0.0.1:PORT`, through a proxy that counts. */
  readonly host: string;
  /** Bytes that went in and out since the last call. */
  moved(): number;
  stop(): Promise<void>;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** Debian's docker-registry on loopback, behind a proxy that counts every byte of both directions. */
export async function startCountingRegistry(folder: string): Promise<CountingRegistry> {
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((resolve) => probe.close(resolve));
  await mkdir(folder);
  const file = path.join(folder, 'config.yml');
  // JSON is YAML.
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(folder, 'storage') } },
    http: { addr: `127.0.0.1:${port}` },
  };
  await writeFile(file, JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let moved = 0;
  const proxy = createServer((incoming) => {
    const outgoing = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      from.on('data', (chunk) => {
        moved += chunk.length;
      });
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
  });
  const own = await listen(proxy);
  const host = `127.0.0.1:${own}`;
  const stop = async () => {
    proxy.close();
    child.kill();
    await ended;
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    try {
      await (await fetch(`http://${host}/v2/`)).arrayBuffer();
      return {
        host,
        moved: () => {
          const since = moved;
          moved = 0;
          return since;
        },
        stop,
      };
    } catch {
      await sleep(50);
    }
  }
  await stop();
  throw new Error('docker-registry did not start');
}
