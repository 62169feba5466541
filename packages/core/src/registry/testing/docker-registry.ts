import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

export const USER = 'uport';
export const PASSWORD = 's3cret-Pa:ss';
// bcrypt of PASSWORD, the only hash that the registry takes.
const HTPASSWD = `${USER}:$2b$04$qv53R6u6m8r3/R5O18fnYeO3CEnUuwa.hoXSDz7HlBc3Q8o99IJiq\n`;

/** Whether a program is in PATH. */
export function has(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Starts Debian's docker-registry on loopback with an empty storage of its own. */
export async function startRegistry(
  options: {
    readonly auth?: 'basic' | Readonly<Record<string, unknown>>;
    readonly relativeUrls?: boolean;
    readonly tls?: { readonly certificate: string; readonly key: string };
  } = {},
): Promise<TestRegistry> {
  const dir = await mkdtemp(path.join(tmpdir(), 'uport-registry-'));
  const host = `127.0.0.1:${await freePort()}`;
  const htpasswd = path.join(dir, 'htpasswd');
  await writeFile(htpasswd, HTPASSWD);
  const auth =
    options.auth === 'basic'
      ? { auth: { htpasswd: { realm: 'test', path: htpasswd } } }
      : options.auth
        ? { auth: options.auth }
        : {};
  // JSON is YAML.
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(dir, 'storage') } },
    http: {
      addr: host,
      relativeurls: options.relativeUrls ?? false,
      ...(options.tls ? { tls: options.tls } : {}),
    },
    ...auth,
  };
  const file = path.join(dir, 'config.yml');
  await writeFile(file, JSON.stringify(config));
  const child: ChildProcess = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill();
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break;
    try {
      // Over TLS any answer will do, also that to a request without it.
      await (await fetch(`http://${host}/v2/`)).arrayBuffer();
      return { host, stop };
    } catch {
      await sleep(50);
    }
  }
  await stop();
  throw new Error('docker-registry did not start');
}
