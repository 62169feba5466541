import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { httpTransport } from './http-transport.ts';

const CONTENT = randomBytes(300_000);
const { signal } = new AbortController();
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
) {
  const ranges: (string | undefined)[] = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response, ranges.length);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const delays = { retryDelays: [0, 0, 0] };
  return { ranges, cache: httpTransport(new URL(`http://127.0.0.1:${port}/c`), delays) };
}

/** Sends the first bytes of what is due, then breaks the connection. */
function breakAfter(bytes: number, response: ServerResponse, from = 0): void {
  response.write(CONTENT.subarray(from, from + bytes), () => {
    setTimeout(() => response.destroy(), 20);
  });
}

async function readAll(cache: ReturnType<typeof httpTransport>): Promise<Buffer> {
  const file = await cache.read('nar/x', signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of file?.chunks ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const startOf = (request: IncomingMessage) =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);

test('a connection that breaks goes on from where it was', async () => {
  const { cache, ranges } = await serve((request, response, count) => {
    const from = startOf(request);
    const size = CONTENT.length - from;
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': size,
      ...(from > 0 && {
        'content-range': `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}`,
      }),
    });
    if (count < 3) breakAfter(70_000, response, from);
    else response.end(CONTENT.subarray(from));
  });
  expect((await readAll(cache)).equals(CONTENT)).toBe(true);
  expect(ranges).toEqual([undefined, 'bytes=70000-', 'bytes=140000-']);
});

test('a server that knows no ranges sends it again, and what came is passed over', async () => {
  const { cache, ranges } = await serve((_, response, count) => {
    response.writeHead(200, { 'content-length': CONTENT.length });
    if (count === 1) breakAfter(100_000, response);
    else response.end(CONTENT);
  });
  expect((await readAll(cache)).equals(CONTENT)).toBe(true);
  expect(ranges).toEqual([undefined, 'bytes=100000-']);
});

test('one that breaks again and again is given up', async () => {
  const { cache, ranges } = await serve((_, response) => {
    response.writeHead(200, { 'content-length': CONTENT.length });
    breakAfter(10, response);
  });
  await expect(readAll(cache)).rejects.toMatchObject({ code: 'UPORT_NIX_CACHE_UNREACHABLE' });
  expect(ranges).toHaveLength(4);
});

test('a part that begins elsewhere is refused', async () => {
  const { cache } = await serve((request, response) => {
    const isPart = startOf(request) > 0;
    response.writeHead(isPart ? 206 : 200, {
      'content-length': CONTENT.length,
      ...(isPart && { 'content-range': `bytes 0-9/${CONTENT.length}` }),
    });
    breakAfter(1000, response);
  });
  await expect(readAll(cache)).rejects.toMatchObject({ code: 'UPORT_NIX_CACHE_REFUSED' });
});

test('a part that is shorter than what was asked for is followed by the next', async () => {
  const { cache, ranges } = await serve((request, response, count) => {
    const from = startOf(request);
    if (count === 1) {
      response.writeHead(200, { 'content-length': CONTENT.length });
      return breakAfter(100_000, response);
    }
    const end = Math.min(from + 120_000, CONTENT.length);
    response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${CONTENT.length}` });
    response.end(CONTENT.subarray(from, end));
  });
  expect((await readAll(cache)).equals(CONTENT)).toBe(true);
  expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=220000-']);
});

test('it goes on only with the file that it began with', async () => {
  const asked: unknown[] = [];
  const { cache } = await serve((request, response) => {
    asked.push(request.headers['if-range']);
    const etag = `"${asked.length}"`;
    // As a server does that knows of If-Range: all of what is there now.
    response.writeHead(200, { 'content-length': CONTENT.length, etag });
    breakAfter(1000, response);
  });
  await expect(readAll(cache)).rejects.toMatchObject({
    code: 'UPORT_NIX_CACHE_REFUSED',
    message: expect.stringContaining('changed while it was read'),
  });
  expect(asked).toEqual([undefined, '"1"']);
});

test('a part of a file of another size is refused', async () => {
  const { cache, ranges } = await serve((request, response) => {
    const from = startOf(request);
    response.writeHead(from > 0 ? 206 : 200, {
      ...(from > 0
        ? { 'content-range': `bytes ${from}-${CONTENT.length}/${CONTENT.length + 1}` }
        : { 'content-length': CONTENT.length }),
    });
    breakAfter(1000, response, from);
  });
  await expect(readAll(cache)).rejects.toMatchObject({ code: 'UPORT_NIX_CACHE_REFUSED' });
  expect(ranges).toHaveLength(2);
});

test('a body that the server has encoded is not gone on with', async () => {
  const encoded = gzipSync(CONTENT);
  const { cache, ranges } = await serve((_, response) => {
    response.writeHead(200, { 'content-length': encoded.length, 'content-encoding': 'gzip' });
    response.write(encoded.subarray(0, 100_000), () => {
      setTimeout(() => response.destroy(), 20);
    });
  });
  await expect(readAll(cache)).rejects.toMatchObject({ code: 'UPORT_NIX_CACHE_UNREACHABLE' });
  expect(ranges).toHaveLength(1);
});
