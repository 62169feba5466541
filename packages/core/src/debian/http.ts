import { setTimeout as sleep } from 'node:timers/promises';
import { UportError } from '@uport/errors';
import { fetchReason } from '../http/fetch-reason.ts';
import { responseBody } from '../http/response-body.ts';
import { type Watchdog, watchdog } from '../http/watchdog.ts';
import type { DebianContext } from './context.ts';

const RETRY_DELAYS: readonly number[] = [500, 2000, 5000];

/** Faults that another try may heal. */
const PASSING = new Set([
  'UPORT_DEBIAN_UNREACHABLE',
  'UPORT_DEBIAN_SERVER_ERROR',
  'UPORT_DEBIAN_WRONG_SIZE',
  'UPORT_CHECKSUM_MISMATCH',
  'UPORT_STORE_TOO_LARGE',
]);

/** Whether the fault lies in the connection or the moment, not in what the mirror has. */
export function isPassing(error: unknown): boolean {
  return error instanceof UportError && PASSING.has(error.code);
}

/** Whether trying again may help: not so where the name is unknown, hardly where no name can be asked. */
function isWorthRetrying(error: unknown, attempt: number): boolean {
  if (!isPassing(error)) return false;
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code === 'ENOTFOUND' || (code === 'EAI_AGAIN' && attempt > 0)) return false;
  }
  return true;
}

/** Runs the work again after a growing wait while it fails with a passing fault. */
export async function retrying<T>(
  context: DebianContext,
  work: (attempt: number) => Promise<T>,
  tries = Number.POSITIVE_INFINITY,
): Promise<T> {
  const delays = context.debian?.retryDelays ?? RETRY_DELAYS;
  for (let attempt = 0; ; attempt++) {
    try {
      context.signal.throwIfAborted();
      return await work(attempt);
    } catch (error) {
      context.signal.throwIfAborted();
      const delay = delays[attempt];
      if (delay === undefined || attempt + 1 >= tries || !isWorthRetrying(error, attempt))
        throw error;
      await sleep(delay, undefined, { signal: context.signal }).catch(() => undefined);
    }
  }
}

export interface Answer {
  readonly status: 200 | 304;
  readonly headers: Headers;
  /** Ends with an error when the connection breaks, stalls, or gives more than was allowed. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** No more bytes than this are read. */
  readonly maxSize: number;
  /** Exactly this many bytes must come. */
  readonly size?: number;
}

/**
 * GETs a file of a mirror. The body must be read to its end or its iterator returned.
 *
 * @throws UportError UPORT_DEBIAN_UNREACHABLE, UPORT_DEBIAN_NOT_FOUND, UPORT_DEBIAN_REFUSED,
 *   UPORT_DEBIAN_SERVER_ERROR, UPORT_DEBIAN_WRONG_SIZE, UPORT_DEBIAN_OUT_OF_STEP
 */
export async function get(
  url: string,
  context: DebianContext,
  options: RequestOptions,
): Promise<Answer> {
  const watch = watchdog(context.signal, context.debian?.stallTimeout);
  let response: Response;
  try {
    response = await fetch(url, {
      headers: { 'accept-encoding': 'identity', 'user-agent': 'uport', ...options.headers },
      signal: watch.signal,
      redirect: 'follow',
    });
  } catch (error) {
    watch.stop();
    context.signal.throwIfAborted();
    throw unreachable(url, error);
  }
  const { status, headers } = response;
  if (status === 304 && options.headers) {
    watch.stop();
    return { status, headers, body: nothing() };
  }
  const fault =
    status === 200 ? sizeFault(url, response, options) : statusFault(url, status, headers);
  if (fault) {
    watch.stop();
    await response.body?.cancel().catch(() => undefined);
    throw fault;
  }
  return { status: 200, headers, body: readBody(url, response, context, options, watch) };
}

/** As `get`, for a small file that is kept in memory. */
export async function getBytes(
  url: string,
  context: DebianContext,
  options: RequestOptions,
): Promise<Omit<Answer, 'body'> & { readonly bytes: Uint8Array }> {
  const { status, headers, body } = await get(url, context, options);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { status, headers, bytes: Buffer.concat(chunks) };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* readBody(
  url: string,
  response: Response,
  context: DebianContext,
  options: RequestOptions,
  watch: Watchdog,
): AsyncGenerator<Uint8Array> {
  const limit = options.size ?? options.maxSize;
  let size = 0;
  const body = responseBody(response, {
    watch,
    signal: context.signal,
    broken: (error) => unreachable(url, error),
  });
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw wrongSize(url, `more than ${limit} bytes came`);
    yield chunk;
  }
  if (options.size !== undefined && size !== options.size) {
    throw wrongSize(url, `${size} bytes came, not ${options.size}`);
  }
}

function statusFault(url: string, status: number, headers: Headers): UportError {
  if (status === 404 || status === 410) {
    return new UportError({
      code: 'UPORT_DEBIAN_NOT_FOUND',
      category: 'network',
      message: `${url} is not there (status ${status})`,
      hint: 'name a complete Debian mirror with UPORT_DEBIAN_MIRROR',
    });
  }
  if (status >= 500 || status === 429 || status === 408) {
    const wait = headers.get('retry-after');
    return new UportError({
      code: 'UPORT_DEBIAN_SERVER_ERROR',
      category: 'network',
      message: `${url} failed (status ${status}${wait ? `, retry after ${wait.slice(0, 40)}` : ''})`,
      hint: 'try again later, or name another mirror with UPORT_DEBIAN_MIRROR',
    });
  }
  return new UportError({
    code: 'UPORT_DEBIAN_REFUSED',
    category: 'network',
    message: `${url} was refused (status ${status})`,
    hint: 'name another mirror with UPORT_DEBIAN_MIRROR',
  });
}

function sizeFault(
  url: string,
  response: Response,
  options: RequestOptions,
): UportError | undefined {
  // A length of a transfer that fetch unpacks is not the length of what it gives.
  if (response.headers.get('content-encoding')) return undefined;
  const text = response.headers.get('content-length');
  if (text === null) return undefined;
  const announced = Number(text);
  if (options.size !== undefined && announced !== options.size) {
    return new UportError({
      code: 'UPORT_DEBIAN_OUT_OF_STEP',
      category: 'network',
      message: `${url} has ${announced} bytes, but ${options.size} are signed for: the mirror is in the middle of an update`,
      hint: 'try again later, or name another mirror with UPORT_DEBIAN_MIRROR',
    });
  }
  return announced > options.maxSize
    ? wrongSize(url, `${announced} bytes are announced, more than ${options.maxSize}`)
    : undefined;
}

function wrongSize(url: string, what: string): UportError {
  return new UportError({
    code: 'UPORT_DEBIAN_WRONG_SIZE',
    category: 'network',
    message: `${url}: ${what}`,
    hint: 'the mirror may be in the middle of an update: try again later, or name another with UPORT_DEBIAN_MIRROR',
  });
}

function unreachable(url: string, error: unknown): UportError {
  return new UportError({
    code: 'UPORT_DEBIAN_UNREACHABLE',
    category: 'network',
    message: `${url} cannot be fetched: ${fetchReason(error)}`,
    hint: 'check the network (NODE_USE_ENV_PROXY=1 makes Node use HTTP_PROXY), or name another mirror with UPORT_DEBIAN_MIRROR',
    cause: error,
  });
}
