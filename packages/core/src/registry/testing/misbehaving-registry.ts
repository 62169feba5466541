import http from 'node:http';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
}

export type Handler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => boolean | undefined;

export interface MisbehavingRegistry {
  readonly host: string;
  readonly seen: SeenRequest[];
  stop(): Promise<void>;
}

/**
 * A registry that has no blob and believes everything, but where `handler` answers (and says so by
 * returning true).
 */
export async function startMisbehaving(handler: Handler): Promise<MisbehavingRegistry> {
  const seen: SeenRequest[] = [];
  let host = '';
  const server = http.createServer((request, response) => {
    const { method = '', url = '' } = request;
    seen.push({ method, url, authorization: request.headers.authorization });
    if (handler(request, response)) return;
    request.resume();
    request.on('end', () => {
      const digest = new URL(url, 'http://x').searchParams.get('digest') ?? undefined;
      if (method === 'HEAD') response.writeHead(404).end();
      else if (method === 'POST') {
        response.writeHead(202, { location: `http://${host}${url}session?_state=a%2Bb` }).end();
      } else if (method === 'PUT') {
        // For a manifest by tag there is nothing to say: the client asks for it.
        const name = digest ?? /sha256:[0-9a-f]{64}$/.exec(url)?.[0];
        response.writeHead(201, name ? { 'docker-content-digest': name } : {}).end();
      } else response.writeHead(method === 'GET' ? 200 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  return {
    host,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
