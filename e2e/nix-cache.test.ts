import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram } from '@uport/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { nixIn, nixMissing } from './support/nix.ts';
import { NQUEENS } from './support/nqueens.ts';
import { startS3 } from './support/s3-server.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { errorCode, uport } from './support/uport.ts';

let folder: string;
let secret: string;
let open: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  secret = path.join(folder, 'key');
  open = `${secret}.pub`;
  if (nixMissing) return;
  const args = ['--generate-binary-cache-key', 'test-1', secret, open];
  expect(await nixIn(folder)('nix-store', args)).toMatchObject({ status: 0 });
});
afterAll(() => removeFolder(folder));

function emit(cache: string, env: Readonly<Record<string, string>> = {}) {
  const args = ['build', NQUEENS, '--emit', 'nix', '-o', path.join(folder, 'dist')];
  const flags = ['--compression-level', '1', '--host', 'x86_64', '--cache', cache];
  return uport([...args, ...flags, '--cache-key', secret, ...offlineFlags()], { env });
}

/** As the package's README says. */
async function storePath(): Promise<string> {
  const text = await readFile(path.join(folder, 'dist/nix/README.md'), 'utf8');
  return /\/nix\/store\/[^`]+/.exec(text)?.[0] ?? '';
}

const noNix = nixMissing ?? missingTools('busybox');

test.skipIf(noNix)(
  named('a bucket is filled with signed requests, and Nix takes from it over HTTP', noNix),
  async () => {
    const bucket = path.join(folder, 'bucket');
    await mkdir(bucket);
    const login = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalr/+=EXAMPLE' };
    const server = await startS3({
      ...login,
      bucket: 'caches',
      region: 'eu-central-1',
      folder: bucket,
    });
    const keys = {
      AWS_ACCESS_KEY_ID: login.accessKeyId,
      AWS_SECRET_ACCESS_KEY: login.secretAccessKey,
    };
    const address = `s3://caches?endpoint=${server.endpoint}&scheme=http&region=eu-central-1`;
    try {
      const filled = await emit(address, keys);
      expect(filled, filled.stderr).toMatchObject({ status: 0 });
      // The .narinfo comes when all else is there.
      expect(server.requests.filter((each) => each.startsWith('PUT')).at(-1)).toMatch(/narinfo$/);

      const again = await emit(address, keys);
      expect(again).toMatchObject({ status: 0 });
      const nars = server.requests.filter((each) => each.startsWith('PUT nar/'));
      expect(nars).toHaveLength(1);

      const wrong = await emit(address, { ...keys, AWS_SECRET_ACCESS_KEY: 'wrong' });
      expect(errorCode(wrong)).toBe('UPORT_NIX_CACHE_REFUSED');
      expect(wrong.stderr).toContain('SignatureDoesNotMatch');
      const otherRegion = await emit(address.replace('eu-central-1', 'us-west-1'), keys);
      expect(errorCode(otherRegion)).toBe('UPORT_NIX_CACHE_REFUSED');
    } finally {
      server.close();
    }
    await taken(bucket);
  },
);

/** Nix copies the package out of a folder that a plain file server serves, and checks its signature. */
async function taken(cache: string): Promise<void> {
  const place = await storePath();
  const narinfo = path.join(cache, `${path.basename(place).slice(0, 32)}.narinfo`);
  expect(await readFile(narinfo, 'utf8')).toContain('Sig: test-1:');
  const { address, process: server } = await serve(cache);
  try {
    const root = path.join(folder, `root-${path.basename(cache)}`);
    await mkdir(root);
    const nix = nixIn(root, [
      'require-sigs = true',
      `trusted-public-keys = ${await readFile(open, 'utf8')}`,
    ]);
    const copied = await nix('nix', ['copy', '--from', address, place]);
    expect(copied, copied.stderr).toMatchObject({ status: 0 });
    expect(await readdir(path.join(root, place, 'bin'))).toEqual(['nqueens']);
    const verified = await nix('nix', ['store', 'verify', '--store', address, place]);
    expect(verified, verified.stderr).toMatchObject({ status: 0 });

    const other = path.join(folder, `other-${path.basename(cache)}`);
    await mkdir(other);
    const realised = await nixIn(other, [`trusted-public-keys = ${await readFile(open, 'utf8')}`])(
      'nix-store',
      ['--realise', '--option', 'substituters', address, place],
    );
    expect(realised, realised.stderr).toMatchObject({ status: 0 });
  } finally {
    server.kill();
  }
}

/** busybox's HTTP server, which knows nothing of caches. */
async function serve(cache: string): Promise<{ address: string; process: ChildProcess }> {
  const port = await freePort();
  const args = ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', cache];
  const server = spawn(findProgram('busybox') as string, args, { stdio: 'ignore' });
  const address = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries++) {
    const answer = await fetch(`${address}/nix-cache-info`).catch(() => undefined);
    if (answer?.ok) return { address, process: server };
    await sleep(50);
  }
  server.kill();
  throw new Error('busybox httpd does not answer');
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.skipIf(nixMissing)(
  named('a server that takes PUT is filled; trouble on the way is got over or told', nixMissing),
  async () => {
    const files = new Map<string, Buffer>();
    let failures = 1;
    const server: Server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const login = Buffer.from('me:pass word').toString('base64');
        if (request.headers.authorization !== `Basic ${login}`) {
          response.writeHead(401).end('who are you?');
          return;
        }
        if (request.method === 'PUT' && failures-- > 0) {
          response.writeHead(503).end();
          return;
        }
        const name = request.url ?? '';
        if (request.method === 'PUT') files.set(name, Buffer.concat(chunks));
        const found = files.get(name);
        response.writeHead(found ? 200 : 404).end(request.method === 'GET' ? found : undefined);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const filled = await emit(`http://me:pass%20word@127.0.0.1:${port}/cache`);
      expect(filled, filled.stderr).toMatchObject({ status: 0 });
      expect([...files.keys()].map((each) => each.replace(/[0-9a-z]{32,}/, 'X'))).toEqual([
        '/cache/nar/X.nar.zst',
        '/cache/nix-cache-info',
        '/cache/X.narinfo',
      ]);
      const stranger = await emit(`http://127.0.0.1:${port}/cache`);
      expect(errorCode(stranger)).toBe('UPORT_NIX_CACHE_REFUSED');
    } finally {
      server.close();
    }
    const gone = await emit(`http://127.0.0.1:${port}/cache`);
    expect(errorCode(gone)).toBe('UPORT_NIX_CACHE_UNREACHABLE');
    expect(errorCode(await emit('ftp://host/cache'))).toBe('UPORT_NIX_CACHE_URL');
  },
);
