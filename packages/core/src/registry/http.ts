import { UportError } from '@uport/errors';
import { printable, registryFault, urlForPeople } from './faults.ts';
import { mayPass } from './retry.ts';

/** A body of known size that is read while it is sent. */
export interface StreamBody {
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | StreamBody;
  /** Sent to this origin only, whatever a redirect or a Location says. */
  readonly authorization?: { readonly origin: string; readonly value: string };
  /** The body holds a secret or can be sent once: no redirect is followed. */
  readonly noRedirect?: boolean;
  /** Whether unencrypted HTTP is allowed. */
  readonly insecure: boolean;
  /** Bytes of an answer that are read at most. */
  readonly largestAnswer: number;
  /** The body of a 200 or 206 is handed out as it comes, however large. */
  readonly streamAnswer?: boolean;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  /** In the place of `body`, when it was asked for. To be read to its end, or left early. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** After redirects. */
  readonly url: URL;
}

const MOST_REDIRECTS = 5;
const LONGEST_LOCATION = 8192;
/** Nothing sent and nothing answered for so long ends a try. Milliseconds. */
const IDLE = 300_000;

/**
 * Resolves a Location header, absolute or relative.
 *
 * @throws UportError UPORT_REGISTRY_RESPONSE where it is no URL to go to: not HTTP, with a password
 *   inside, or unencrypted where encryption was asked for
 */
export function resolveLocation(location: string | null, base: URL, insecure: boolean): URL {
  const fail = (message: string, hint: string) =>
    registryFault('UPORT_REGISTRY_RESPONSE', `${base.host} ${message}`, hint);
  const askOperator = 'tell the registry’s operator; its answers break the protocol';
  if (location === null) throw fail('answered without a Location', askOperator);
  const parsable = location.length <= LONGEST_LOCATION && URL.canParse(location, base.href);
  const url = parsable ? new URL(location, base.href) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) {
    throw fail('answered with a Location that is no usable URL', askOperator);
  }
  if (url.protocol === 'http:' && !insecure) {
    throw fail(
      `sent us on to unencrypted ${urlForPeople(url)}`,
      'if a proxy ends TLS before the registry, it must set X-Forwarded-Proto: https',
    );
  }
  return url;
}

/** One exchange, redirects included. Any status is an answer. */
export async function exchange(request: HttpRequest): Promise<HttpAnswer> {
  let url = request.url;
  if (url.protocol !== 'https:' && !request.insecure) {
    throw registryFault(
      'UPORT_REGISTRY_RESPONSE',
      `${urlForPeople(url)} is not encrypted`,
      'use --insecure only in a network that you trust',
    );
  }
  for (let redirects = 0; ; redirects++) {
    const answer = await one(request, url);
    const location = answer.headers.get('location');
    const follows =
      answer.status === 307 ||
      answer.status === 308 ||
      ([301, 302, 303].includes(answer.status) && ['GET', 'HEAD'].includes(request.method));
    if (!follows || location === null || request.noRedirect) return answer;
    if (redirects === MOST_REDIRECTS) {
      throw registryFault(
        'UPORT_REGISTRY_RESPONSE',
        `${request.url.host} redirected more than ${MOST_REDIRECTS} times`,
        'tell the registry’s operator',
      );
    }
    url = resolveLocation(location, url, request.insecure);
  }
}

async function one(request: HttpRequest, url: URL): Promise<HttpAnswer> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), IDLE);
  const signal = AbortSignal.any([request.signal, idle.signal]);
  const headers = new Headers(request.headers);
  if (request.authorization && request.authorization.origin === url.origin) {
    headers.set('authorization', request.authorization.value);
  }
  let bodyFault: unknown;
  let sending = false;
  const streamed = async function* (source: StreamBody) {
    try {
      for await (const chunk of source.open()) {
        timer.refresh();
        yield chunk;
      }
      sending = false;
    } catch (error) {
      bodyFault ??= error;
      throw error;
    }
  };
  const init: RequestInit = { method: request.method, headers, redirect: 'manual', signal };
  if (request.body instanceof Uint8Array) {
    init.body = Buffer.from(request.body);
  } else if (request.body) {
    // With a length known, no registry or proxy meets a chunked body, which some refuse.
    headers.set('content-length', String(request.body.size));
    init.body = ReadableStream.from(streamed(request.body)) as NonNullable<RequestInit['body']>;
    init.duplex = 'half';
    // Otherwise fetch keeps a copy of the whole body in memory, for a redirect to come.
    init.redirect = 'error';
    sending = true;
  }
  try {
    const response = await fetch(url, init);
    if (request.streamAnswer && (response.status === 200 || response.status === 206)) {
      const stream = streamOf(response, url, request.signal);
      return { status: response.status, headers: response.headers, body: NOTHING, stream, url };
    }
    const body = await readBounded(response, request.largestAnswer, url.host);
    return { status: response.status, headers: response.headers, body, url };
  } catch (error) {
    request.signal.throwIfAborted();
    if (bodyFault !== undefined) throw bodyFault;
    if ((error as { code?: unknown }).code === 'UPORT_REGISTRY_RESPONSE') throw error;
    throw idle.signal.aborted ? silence(url) : transportFault(error, url);
  } finally {
    clearTimeout(timer);
    // A registry may answer early, with an error; the rest of the body is then of no use.
    if (sending) idle.abort();
  }
}

const NOTHING = Buffer.alloc(0);

async function* streamOf(
  response: Response,
  url: URL,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const idle = new AbortController();
  const timer = setTimeout(() => {
    idle.abort();
    reader.cancel().catch(() => undefined);
  }, IDLE);
  let ended = false;
  try {
    for (;;) {
      const piece = await reader.read();
      timer.refresh();
      if (idle.signal.aborted) throw silence(url);
      ended = piece.done;
      if (piece.done) return;
      yield piece.value;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof UportError ? error : transportFault(error, url);
  } finally {
    clearTimeout(timer);
    if (!ended) await reader.cancel().catch(() => undefined);
  }
}

function silence(url: URL): UportError {
  return mayPass(
    registryFault(
      'UPORT_REGISTRY_UNREACHABLE',
      `${url.host} was silent for ${IDLE / 1000} seconds`,
      'try again later',
    ),
  );
}

async function readBounded(response: Response, limit: number, host: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the rest of the body.
    if (size > limit) {
      throw registryFault(
        'UPORT_REGISTRY_RESPONSE',
        `${host} answered with more than ${limit} bytes`,
        'check that the address is a registry’s',
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function codeOf(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code;
    if (typeof code === 'string') return code;
    if (at.message === 'bad port') return 'BAD_PORT';
    if (at.message === 'unexpected redirect') return 'REDIRECT';
  }
  return 'unknown reason';
}

const CERTIFICATE_CODE =
  /^(?:CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH)/;

function transportFault(error: unknown, url: URL): UportError {
  const code = printable(codeOf(error), 60);
  const cause = { cause: error };
  if (CERTIFICATE_CODE.test(code)) {
    return registryFault(
      'UPORT_REGISTRY_TLS',
      `the certificate of ${url.host} is not trusted (${code})`,
      'set NODE_EXTRA_CA_CERTS to a PEM file with the CA of the registry',
      cause,
    );
  }
  if (/^ERR_SSL_/.test(code) || code === 'EPROTO') {
    return registryFault(
      'UPORT_REGISTRY_TLS',
      `${url.host} does not speak TLS as we do (${code})`,
      'if it is a registry without TLS, in a network that you trust, use --insecure',
      cause,
    );
  }
  if (code === 'REDIRECT') {
    return registryFault(
      'UPORT_REGISTRY_RESPONSE',
      `${url.host} redirects in the middle of an upload`,
      'tell the registry’s operator; its answers break the protocol',
      cause,
    );
  }
  if (code === 'ENOTFOUND' || code === 'BAD_PORT') {
    return registryFault(
      'UPORT_REGISTRY_UNREACHABLE',
      code === 'BAD_PORT'
        ? `port ${url.port} is reserved for other protocols and fetch refuses it`
        : `${url.hostname} has no address`,
      'check the name and the port of the registry',
      cause,
    );
  }
  return mayPass(
    registryFault(
      'UPORT_REGISTRY_UNREACHABLE',
      `the connection to ${url.host} failed (${code})`,
      'check that the registry runs and can be reached from here, then try again',
      cause,
    ),
  );
}
