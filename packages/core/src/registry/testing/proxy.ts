import http from 'node:http';

/** What the proxy does with a request instead of passing it on. */
export type Mischief =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: http.OutgoingHttpHeaders;
    }
  /** Passes this many bytes of the request's body on, then drops the connection. */
  | { readonly kind: 'drop'; readonly after: number };

export interface TestProxy {
  readonly host: string;
  /** `METHOD /path?query` of each request, in order. */
  readonly seen: string[];
  stop(): Promise<void>;
}

/** A proxy before a registry that misbehaves where it is told to. */
export async function startProxy(
  upstream: string,
  mischief: (request: http.IncomingMessage) => Mischief | undefined = () => undefined,
): Promise<TestProxy> {
  const seen: string[] = [];
  const [hostname, port] = upstream.split(':') as [string, string];
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const what = mischief(request);
    if (what?.kind === 'answer') {
      request.resume();
      response.writeHead(what.status, what.headers).end();
      return;
    }
    const passed = http.request({
      hostname,
      port,
      method: request.method,
      path: request.url,
      // The Host header stays, so that the registry's Locations point at the proxy.
      headers: request.headers,
    });
    passed.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    if (what?.kind === 'drop') {
      let size = 0;
      request.on('data', (chunk: Buffer) => {
        size += chunk.length;
        passed.write(chunk);
        if (size < what.after) return;
        request.destroy();
        passed.destroy();
      });
      return;
    }
    request.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as { port: number };
  return {
    host: `127.0.0.1:${own}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
