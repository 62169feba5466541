import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { PASSWORD, USER } from './docker-registry.ts';

export const IDENTITY_TOKEN = 'identity-0123456789';
export const SERVICE = 'uport test registry';
export const ISSUER = 'uport test issuer';

export interface TokenServer {
  readonly realm: string;
  /** For each request how the client proved who it is, and the scopes it asked for. */
  readonly seen: { readonly login: 'none' | 'basic' | 'identity'; readonly scopes: string[] }[];
  /** Seconds that it says a token lasts. */
  expiresIn: number;
  stop(): Promise<void>;
}

/**
 * A token server as docker-registry's `auth: token` wants it. Who logs in may pull and push all
 * repositories but those under `private/`; anyone may pull.
 */
export async function startTokenServer(files: {
  readonly certificate: string;
  readonly key: string;
}): Promise<TokenServer> {
  const key = createPrivateKey(readFileSync(files.key));
  const chain = [new X509Certificate(readFileSync(files.certificate)).raw.toString('base64')];
  const seen: TokenServer['seen'] = [];
  const token = (login: boolean, scopes: readonly string[]): string => {
    const access = scopes.map((scope) => {
      const [type, name = '', actions = ''] = scope.split(':');
      const may = name.startsWith('private/') ? [] : login ? ['pull', 'push'] : ['pull'];
      return { type, name, actions: actions.split(',').filter((action) => may.includes(action)) };
    });
    const now = Math.floor(Date.now() / 1000);
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      iss: ISSUER,
      sub: login ? USER : '',
      aud: SERVICE,
      nbf: now - 10,
      iat: now,
      exp: now + 300,
      jti: String(seen.length),
      access,
    };
    const text = `${part({ typ: 'JWT', alg: 'ES256', x5c: chain })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  };
  const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  const server = http.createServer(async (request, response) => {
    const refuse = () => response.writeHead(401).end('{}');
    const answer = (login: 'none' | 'basic' | 'identity', scopes: string[], field: string) => {
      seen.push({ login, scopes });
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          [field]: token(login !== 'none', scopes),
          expires_in: tokenServer.expiresIn,
        }),
      );
    };
    if (request.method === 'POST') {
      let body = '';
      for await (const chunk of request) body += chunk;
      const form = new URLSearchParams(body);
      const valid =
        form.get('grant_type') === 'refresh_token' &&
        form.get('refresh_token') === IDENTITY_TOKEN &&
        form.get('service') === SERVICE;
      if (!valid) return refuse();
      return answer('identity', (form.get('scope') ?? '').split(' '), 'access_token');
    }
    const query = new URL(request.url ?? '', 'http://localhost').searchParams;
    const login = request.headers.authorization;
    if (query.get('service') !== SERVICE || (login !== undefined && login !== basic)) {
      return refuse();
    }
    return answer(login ? 'basic' : 'none', query.getAll('scope'), 'token');
  });
  const tokenServer = {
    realm: '',
    seen,
    expiresIn: 300,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  tokenServer.realm = `http://127.0.0.1:${port}/token`;
  return tokenServer;
}
