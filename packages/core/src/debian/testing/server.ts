import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Answers one request in another way than a good mirror would. */
export type Misbehaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer | undefined,
) => void;

export interface TestMirror {
  readonly url: string;
  readonly files: Map<string, Buffer>;
  /** What was asked for and the answer's status, in order: `200 dists/sid/InRelease`. */
  readonly requests: string[];
  /** The next requests of a path are answered like this, one after another. */
  misbehave(path: string | RegExp, ...ways: readonly Misbehaviour[]): void;
  close(): Promise<void>;
}

/** A mirror on loopback. */
export async function startMirror(files: Map<string, Buffer>): Promise<TestMirror> {
  const requests: string[] = [];
  const queue: { readonly path: string | RegExp; readonly ways: Misbehaviour[] }[] = [];
  const server = createServer((request, response) => {
    const path = decodeURI(request.url ?? '').slice(1);
    response.on('close', () => requests.push(`${response.statusCode} ${path}`));
    const bytes = files.get(path);
    const turn = queue.find(
      (each) =>
        each.ways.length > 0 &&
        (typeof each.path === 'string' ? each.path === path : each.path.test(path)),
    );
    const way = turn?.ways.shift() ?? behave;
    way(request, response, bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    requests,
    misbehave: (path, ...ways) => void queue.unshift({ path, ways: [...ways] }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const behave: Misbehaviour = (request, response, bytes) => {
  if (!bytes) {
    response.writeHead(404).end('not found');
    return;
  }
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`;
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end();
    return;
  }
  response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
};

export function status(code: number): Misbehaviour {
  return (_request, response) => void response.writeHead(code).end('a fault');
}

/** The connection breaks before any answer. */
export const hangUp: Misbehaviour = (request) => void request.socket.destroy();

/** The connection breaks in the middle of the body. */
export const breakOff: Misbehaviour = (_request, response, bytes = Buffer.alloc(1)) => {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.destroy());
};

/** The body ends early, with no length given beforehand. */
export const cutOff: Misbehaviour = (_request, response, bytes = Buffer.alloc(1)) => {
  response.writeHead(200).end(bytes.subarray(0, bytes.length >> 1));
};

/** One bit is wrong. */
export const flipBit: Misbehaviour = (_request, response, bytes = Buffer.alloc(1)) => {
  const wrong = Buffer.from(bytes);
  wrong.writeUInt8(wrong.readUInt8(wrong.length >> 1) ^ 1, wrong.length >> 1);
  response.writeHead(200, { 'content-length': wrong.length }).end(wrong);
};

/** Other bytes, of another length. */
export const otherBytes: Misbehaviour = (_request, response) =>
  void response.writeHead(200).end('something else');

/** More and more bytes without end. */
export const endless: Misbehaviour = (_request, response) => {
  response.writeHead(200);
  const more = (): void => {
    if (!response.destroyed) response.write(Buffer.alloc(65536), () => setImmediate(more));
  };
  more();
};

/** Some bytes, then nothing more. */
export const stall: Misbehaviour = (_request, response, bytes = Buffer.alloc(1)) => {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, 10));
};
