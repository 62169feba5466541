// A binary cache behind HTTP: GET, HEAD and PUT of plain files, as Nix's own http store does.
import { setTimeout as sleep } from 'node:timers/promises';
import { UportError } from '@uport/errors';
import { fetchReason } from '../http/fetch-reason.ts';
import { responseBody } from '../http/response-body.ts';
import { type Watchdog, watchdog } from '../http/watchdog.ts';
import { cacheFault } from './faults.ts';
import type { CacheFile, CacheTransport, CacheUpload } from './transport.ts';

export interface HttpTransportOptions {
  /** Milliseconds before each further try. */
  readonly retryDelays?: readonly number[];
  /** Adds headers that speak for the user; asked anew for each try. */
  readonly authorize?: (request: AuthorizedRequest) => Readonly<Record<string, string>>;
  /** Spells a file's name in an address. Default: as it is. */
  readonly encodeName?: (name: string) => string;
  /** How the cache is called in messages. Default: its address. */
  readonly shown?: string;
}

export interface AuthorizedRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** sha256 of the body, in hex. */
  readonly bodyDigest: string;
}

const EMPTY_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const RETRY_DELAYS: readonly number[] = [500, 2000, 5000];
/** What a server says of an error is worth showing up to here. */
const MAX_EXPLANATION = 4096;

/**
 * @param base the folder of the cache; a query in it is sent with each request
 * @throws UportError UPORT_NIX_CACHE_UNREACHABLE, UPORT_NIX_CACHE_REFUSED, UPORT_NIX_CACHE_SERVER_ERROR
 */
export function httpTransport(base: URL, options: HttpTransportOptions = {}): CacheTransport {
  const delays = options.retryDelays ?? RETRY_DELAYS;
  const shown = options.shown ?? urlForPeople(base);
  const urlOf = (name: string): URL => {
    const url = new URL(base);
    url.username = '';
    url.password = '';
    // The address of a NAR may have a query; a key of S3 has none.
    const cut = options.encodeName ? -1 : name.indexOf('?');
    const plain = cut < 0 ? name : name.slice(0, cut);
    const spelled = options.encodeName?.(plain) ?? plain;
    url.pathname = `${base.pathname.replace(/\/+$/, '')}/${spelled}`;
    if (cut >= 0)
      url.search = [name.slice(cut + 1), base.search.slice(1)].filter(Boolean).join('&');
    return url;
  };
  const login = basicLogin(base);
  const signed = options.authorize !== undefined;
  const authorize = (request: AuthorizedRequest) => ({
    ...login,
    ...options.authorize?.(request),
  });

  /** One request that was answered with success, or with "not there": then undefined. */
  const request = async (
    method: AuthorizedRequest['method'],
    name: string,
    signal: AbortSignal,
    what: Requested = {},
  ): Promise<Answer | undefined> => {
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await one(method, urlOf(name), signal, { authorize, signed }, what);
      } catch (error) {
        signal.throwIfAborted();
        const delay = delays[attempt];
        if (delay === undefined || !mayPass(error)) throw error;
        await sleep(delay, undefined, { signal }).catch(() => undefined);
      }
    }
  };

  return {
    url: shown,
    async read(name, signal): Promise<CacheFile | undefined> {
      const answer = await request('GET', name, signal);
      if (answer === undefined) return undefined;
      return {
        size: bodyFacts(answer.response).size,
        chunks: resumed(answer, urlOf(name), {
          delays,
          signal,
          again: (offset, etag) => request('GET', name, signal, { offset, etag }),
        }),
      };
    },
    async has(name, signal) {
      const answer = await request('HEAD', name, signal);
      answer?.watch.stop();
      return answer !== undefined;
    },
    async write(name, upload, signal) {
      const answer = await request('PUT', name, signal, { upload });
      answer?.watch.stop();
      await answer?.response.body?.cancel().catch(() => undefined);
    },
  };
}

/** What a request is about besides a name. */
interface Requested {
  readonly upload?: CacheUpload;
  /** The first byte that is wanted. */
  readonly offset?: number;
  /** Of the file that the bytes before it are of. */
  readonly etag?: string | undefined;
}

interface Authorization {
  readonly authorize: (request: AuthorizedRequest) => Readonly<Record<string, string>>;
  /** Whether what it gives is a signature. */
  readonly signed: boolean;
}

async function one(
  method: AuthorizedRequest['method'],
  url: URL,
  signal: AbortSignal,
  { authorize, signed }: Authorization,
  { upload, offset = 0, etag }: Requested,
): Promise<Answer | undefined> {
  const watch = watchdog(signal);
  const headers: Record<string, string> = {
    'accept-encoding': 'identity',
    'user-agent': 'uport',
    ...(offset > 0 && { range: `bytes=${offset}-` }),
    ...(offset > 0 && etag !== undefined && { 'if-range': etag }),
    ...(upload && {
      'content-type': upload.contentType,
      'content-length': String(upload.size),
    }),
  };
  const bodyDigest = upload?.sha256 ?? EMPTY_BODY;
  const init: RequestInit = {
    method,
    headers: { ...headers, ...authorize({ method, url, headers, bodyDigest }) },
    signal: watch.signal,
    // A signature is for one address and its token for one server; a body that streams is sent once.
    redirect: method === 'PUT' || signed ? 'error' : 'follow',
  };
  let bodyFault: unknown;
  if (upload) {
    const sent = async function* () {
      try {
        for await (const chunk of upload.open()) {
          watch.alive();
          yield chunk;
        }
      } catch (error) {
        bodyFault ??= error;
        throw error;
      }
    };
    init.body = ReadableStream.from(sent()) as NonNullable<RequestInit['body']>;
    init.duplex = 'half';
  }
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    watch.stop();
    signal.throwIfAborted();
    if (bodyFault !== undefined) throw bodyFault;
    throw unreachable(url, error);
  }
  const range = response.headers.get('content-range');
  const isPart = response.status === 206 && range?.startsWith(`bytes ${offset}-`);
  if (response.ok && (response.status !== 206 || isPart)) return { response, watch };
  watch.alive();
  const explanation = await readExplanation(response).catch(() => '');
  watch.stop();
  const { status } = response;
  // S3 answers 403 for what is not there to those who may not list; writing then tells more.
  const hidden = status === 403 && (method === 'HEAD' || /NoSuchKey/.test(explanation));
  const missing = status === 404 || status === 410 || hidden;
  if (missing && method !== 'PUT') return undefined;
  throw statusFault(url, status, method, explanation);
}

/** What an answer says of the whole that it is, or is a part of. */
interface BodyFacts {
  /** In bytes, as they are read here. */
  readonly size: number | undefined;
  /** Its bytes are counted before they are decoded. */
  readonly encoded: boolean;
  /** One that changes with every byte. */
  readonly etag: string | undefined;
}

function bodyFacts({ status, headers }: Response): BodyFacts {
  const encoded = !['', 'identity'].includes(headers.get('content-encoding')?.toLowerCase() ?? '');
  const whole =
    status === 206
      ? /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
      : headers.get('content-length');
  const etag = headers.get('etag') ?? undefined;
  return {
    size: encoded || whole === null || whole === undefined ? undefined : Number(whole),
    encoded,
    etag: etag?.startsWith('"') ? etag : undefined,
  };
}

/** Whether an answer surely is not of what the first one was of. */
function isAnother(first: BodyFacts, response: Response): boolean {
  const next = bodyFacts(response);
  return (
    next.encoded ||
    (first.size !== undefined && next.size !== undefined && first.size !== next.size) ||
    (first.etag !== undefined && next.etag !== undefined && first.etag !== next.etag)
  );
}

/**
 * A body that is asked for again, from where it broke, when the connection breaks. What came before is
 * not looked at again: whoever reads checks the whole.
 */
async function* resumed(
  first: Answer,
  url: URL,
  { delays, again, signal }: Resuming,
): AsyncGenerator<Uint8Array, void, undefined> {
  let answer = first;
  let offset = 0;
  const facts = bodyFacts(first.response);
  for (let attempt = 0; ; attempt++) {
    const { response, watch } = answer;
    // A server that does not know ranges sends all of it again.
    let skip = response.status === 206 ? 0 : offset;
    const broken = (error: unknown) => unreachable(url, error);
    try {
      for await (const chunk of responseBody(response, { watch, signal, broken })) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        offset += fresh.length;
        if (fresh.length > 0) yield fresh;
      }
      // A server may send less of a part than it was asked for.
      if (facts.size === undefined || offset >= facts.size) return;
      throw unreachable(url, new Error(`the answer ended after ${offset} of ${facts.size} bytes`));
    } catch (error) {
      signal.throwIfAborted();
      const delay = delays[attempt];
      if (delay === undefined || facts.encoded || !mayPass(error)) throw error;
      await sleep(delay, undefined, { signal }).catch(() => undefined);
      const next = await again(offset, facts.etag);
      if (next === undefined) throw error;
      if (isAnother(facts, next.response)) {
        next.watch.stop();
        await next.response.body?.cancel().catch(() => undefined);
        throw changed(url);
      }
      answer = next;
    }
  }
}

interface Resuming {
  /** Milliseconds before each further try. */
  readonly delays: readonly number[];
  readonly again: (offset: number, etag: string | undefined) => Promise<Answer | undefined>;
  readonly signal: AbortSignal;
}

interface Answer {
  readonly response: Response;
  readonly watch: Watchdog;
}

/** `https://USER:PASSWORD@…`, which fetch refuses in an address. */
function basicLogin(url: URL): Readonly<Record<string, string>> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decoded(url.username)}:${decoded(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** A `%` that begins no escape stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function readExplanation(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_EXPLANATION) break;
  }
  return text.slice(0, MAX_EXPLANATION);
}

/** What S3 says in XML, else the first line of a text. */
function explained(text: string): string {
  const code = /<Code>([\w.]{1,100})<\/Code>/.exec(text)?.[1];
  const message = /<Message>([^<]{1,300})<\/Message>/.exec(text)?.[1];
  const plain = text.trim().split('\n')[0] ?? '';
  const said = [code, message].filter(Boolean).join(': ') || (plain.startsWith('<') ? '' : plain);
  const printable = said.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
  return printable === '' ? '' : `: ${printable}`;
}

function statusFault(url: URL, status: number, method: string, text: string): UportError {
  const what = `${method} ${urlForPeople(url)} was answered with ${status}${explained(text)}`;
  if (status >= 500 || status === 429 || status === 408) {
    return cacheFault('UPORT_NIX_CACHE_SERVER_ERROR', what, 'try again later');
  }
  const hint =
    status === 401 || status === 403
      ? 'check the login: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile for s3://, USER:PASSWORD@ in the address for https://'
      : method === 'PUT'
        ? 'the server must take PUT at that address; a plain file server does not: write to a folder and copy it there'
        : 'check the address';
  return cacheFault('UPORT_NIX_CACHE_REFUSED', what, hint);
}

function changed(url: URL): UportError {
  return cacheFault(
    'UPORT_NIX_CACHE_REFUSED',
    `${urlForPeople(url)} changed while it was read`,
    'try again',
  );
}

function unreachable(url: URL, error: unknown): UportError {
  return cacheFault(
    'UPORT_NIX_CACHE_UNREACHABLE',
    `${urlForPeople(url)} cannot be reached: ${fetchReason(error)}`,
    'check the address and the network (NODE_USE_ENV_PROXY=1 makes Node use HTTP_PROXY)',
    error,
  );
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof UportError)) return false;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (/^(?:ENOTFOUND|ECONNREFUSED)$/.test(String((at as NodeJS.ErrnoException).code)))
      return false;
    if (at.message === 'unexpected redirect') return false;
  }
  return ['UPORT_NIX_CACHE_UNREACHABLE', 'UPORT_NIX_CACHE_SERVER_ERROR'].includes(error.code);
}

/** Without a password and without what may be one. */
export function urlForPeople(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
