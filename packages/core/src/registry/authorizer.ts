import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { registryFault } from './faults.ts';
import { exchange, type HttpAnswer, resolveLocation } from './http.ts';
import { withRetries } from './retry.ts';
import { serverFault } from './server-fault.ts';

/** Gives requests to one registry their Authorization header. */
export interface Authorizer {
  /** The header for these scopes as far as it is known by now. */
  header(scopes: readonly string[]): Promise<string | undefined>;
  /**
   * Takes in the WWW-Authenticate of a 401.
   *
   * @param refused the header that the request carried
   * @returns whether `header` now gives something else
   */
  learn(
    wwwAuthenticate: string | null,
    scopes: readonly string[],
    refused: string | undefined,
  ): Promise<boolean>;
  /** Replaces every secret in a text. */
  redact(text: string): string;
}

export interface AuthorizerOptions {
  /** `HOST[:PORT]`, for messages. */
  readonly host: string;
  readonly base: URL;
  readonly credentials: Credentials | undefined;
  readonly insecure: boolean;
  readonly signal: AbortSignal;
}

const LARGEST_TOKEN_ANSWER = 1 << 20;
/** A token is renewed so long before it ends, or after half its life when that is shorter. */
const RENEW_BEFORE = 10_000;
const CLIENT_ID = 'uport';

interface Token {
  readonly value: string;
  /** Milliseconds of `performance.now()`. */
  readonly renewAt: number;
}

interface Bearer {
  readonly realm: URL;
  readonly service: string | undefined;
  /** What the registry asked for; counts where it names another resource than the request's scopes. */
  readonly scope: string | undefined;
}

/** The token protocol of the distribution project, Basic (RFC 7617) and ready bearer tokens. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { host, base, credentials, insecure, signal } = options;
  const secrets = new Set<string>();
  const basic = credentials?.kind === 'password' ? basicHeader(credentials) : undefined;
  if (credentials?.kind === 'password') secrets.add(credentials.password);
  else if (credentials) secrets.add(credentials.token);
  if (basic) secrets.add(basic.slice('Basic '.length));

  let way: 'none' | 'basic' | 'ready' | Bearer = 'none';
  const tokens = new Map<string, Promise<Token>>();

  const redact = (text: string): string => {
    let clean = text;
    for (const secret of secrets) {
      if (secret.length >= 3) clean = clean.replaceAll(secret, '[secret]');
    }
    return clean;
  };

  const fetchToken = async (bearer: Bearer, scopes: readonly string[]): Promise<Token> => {
    const answer = await withRetries(() => askForToken(bearer, scopes), signal);
    let parsed: unknown;
    try {
      parsed = JSON.parse(answer.body.toString('utf8'));
    } catch {
      parsed = undefined;
    }
    const fields = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as {
      token?: unknown;
      access_token?: unknown;
      expires_in?: unknown;
    };
    const value = fields.token || fields.access_token;
    // Only visible ASCII may stand in a header.
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
      throw registryFault(
        'UPORT_REGISTRY_AUTH',
        `the token server ${bearer.realm.host} answered without a token`,
        'tell the registry’s operator',
      );
    }
    secrets.add(value);
    const seconds =
      typeof fields.expires_in === 'number' && fields.expires_in > 0 ? fields.expires_in : 60;
    const life = Math.min(seconds, 24 * 3600) * 1000;
    return { value, renewAt: performance.now() + Math.max(life / 2, life - RENEW_BEFORE) };
  };

  const askForToken = async (bearer: Bearer, scopes: readonly string[]): Promise<HttpAnswer> => {
    const resource = bearer.scope?.replace(/[^:]*$/, '');
    const covered = resource === undefined || scopes.some((scope) => scope.startsWith(resource));
    const wanted = covered || !bearer.scope ? scopes : [...scopes, bearer.scope];
    const common = { insecure, signal, largestAnswer: LARGEST_TOKEN_ANSWER };
    let answer: HttpAnswer;
    if (credentials?.kind === 'identity') {
      const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID });
      if (bearer.service) form.set('service', bearer.service);
      form.set('scope', wanted.join(' '));
      form.set('refresh_token', credentials.token);
      answer = await exchange({
        ...common,
        method: 'POST',
        url: bearer.realm,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: Buffer.from(form.toString()),
        noRedirect: true,
      });
    } else {
      const url = new URL(bearer.realm);
      if (bearer.service) url.searchParams.set('service', bearer.service);
      for (const scope of wanted) url.searchParams.append('scope', scope);
      answer = await exchange({
        ...common,
        method: 'GET',
        url,
        ...(basic ? { authorization: { origin: url.origin, value: basic } } : {}),
      });
    }
    if (answer.status === 200) return answer;
    if ([400, 401, 403].includes(answer.status)) throw unauthorized(host, credentials);
    throw serverFault(answer, `the token server ${bearer.realm.host}`, redact);
  };

  const header = async (scopes: readonly string[]): Promise<string | undefined> => {
    if (way === 'none') return undefined;
    if (way === 'basic') return basic;
    if (way === 'ready') {
      return credentials?.kind === 'bearer' ? `Bearer ${credentials.token}` : undefined;
    }
    const key = scopes.join(' ');
    const known = tokens.get(key);
    if (known && performance.now() < (await known).renewAt) return `Bearer ${(await known).value}`;
    // Requests that come together share one token.
    const newer = tokens.get(key);
    const pending = newer && newer !== known ? newer : fetchToken(way, scopes);
    tokens.set(key, pending);
    pending.catch(() => tokens.delete(key));
    return `Bearer ${(await pending).value}`;
  };

  const learn = async (
    wwwAuthenticate: string | null,
    scopes: readonly string[],
    refused: string | undefined,
  ): Promise<boolean> => {
    // Another request may have learned in the meantime.
    if (way !== 'none' && (await header(scopes)) !== refused) return true;
    const challenges = parseChallenges(wwwAuthenticate ?? '');
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    const canBasic = challenges.some((challenge) => challenge.scheme === 'basic');
    if (bearer && credentials?.kind === 'bearer') {
      way = 'ready';
    } else if (bearer) {
      way = readBearer(bearer);
      tokens.clear();
    } else if (canBasic) {
      if (!basic) throw unauthorized(host, credentials);
      way = 'basic';
    } else {
      throw registryFault(
        'UPORT_REGISTRY_AUTH',
        `${host} asks for a login in a way that is neither Bearer nor Basic`,
        'use a registry or a proxy that speaks one of the two',
      );
    }
    return (await header(scopes)) !== refused;
  };

  const readBearer = (challenge: Challenge): Bearer => {
    const realm = challenge.parameters.get('realm');
    if (!realm) {
      throw registryFault(
        'UPORT_REGISTRY_AUTH',
        `${host} asks for a token without naming a token server`,
        'tell the registry’s operator',
      );
    }
    return {
      realm: resolveLocation(realm, base, insecure),
      service: challenge.parameters.get('service'),
      scope: challenge.parameters.get('scope'),
    };
  };

  return { header, learn, redact };
}

function basicHeader(credentials: {
  readonly username: string;
  readonly password: string;
}): string {
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

/** The fault of a login that is missing or wrong. */
export function unauthorized(host: string, credentials: Credentials | undefined) {
  return registryFault(
    'UPORT_REGISTRY_UNAUTHORIZED',
    credentials ? `${host} refuses the login that we have` : `${host} wants a login`,
    `run: docker login ${host}`,
  );
}
