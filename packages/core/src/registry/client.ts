import { createAuthorizer, unauthorized } from './authorizer.ts';
import type { Credentials } from './credentials.ts';
import { exchange, type HttpAnswer, type HttpRequest, type StreamBody } from './http.ts';
import type { ImageReference } from './reference.ts';
import { mayPass, withRetries } from './retry.ts';
import { serverFault } from './server-fault.ts';

export interface ClientRequest {
  readonly method: HttpRequest['method'];
  /** Absolute, or a path on the registry. */
  readonly url: URL | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** A body that can be sent once only: the request is not tried again here. */
  readonly stream?: StreamBody;
  /** A repository to read besides the client's own, for a mount. */
  readonly alsoPull?: string;
  /** The statuses that are answers; any other is a fault. */
  readonly accept: readonly number[];
  /** Begins the sentence of a fault, such as `pushing blob sha256:…`. */
  readonly doing: string;
  readonly largestAnswer?: number;
  /** The answer's body is handed out as it comes. */
  readonly streamAnswer?: boolean;
}

/** Requests for one repository: authorised, tried again, bounded. */
export interface RegistryClient {
  readonly reference: ImageReference;
  readonly base: URL;
  readonly insecure: boolean;
  readonly signal: AbortSignal;
  /**
   * Learns how the registry wants its logins, before anything large is sent, and finds out whether
   * it is one: only answers to GET say what is wrong.
   *
   * @throws UportError UPORT_REGISTRY_*
   */
  greet(): Promise<void>;
  /** @throws UportError UPORT_REGISTRY_* */
  send(request: ClientRequest): Promise<HttpAnswer>;
}

const SMALL_ANSWER = 64 << 10;

export function createClient(options: {
  readonly reference: ImageReference;
  readonly credentials: Credentials | undefined;
  readonly insecure: boolean;
  readonly signal: AbortSignal;
  /** Default: `pull,push`. */
  readonly access?: 'pull' | 'pull,push';
}): RegistryClient {
  const { reference, credentials, insecure, signal } = options;
  const base = new URL(`${insecure ? 'http' : 'https'}://${reference.apiHost}/`);
  const authorizer = createAuthorizer({
    host: reference.registry,
    base,
    credentials,
    insecure,
    signal,
  });
  const ownScopes = [`repository:${reference.repository}:${options.access ?? 'pull,push'}`];
  const send = (request: ClientRequest) => {
    const attempt = () => sendOnce(request);
    return request.stream ? attempt() : withRetries(attempt, signal);
  };
  const sendOnce = async (request: ClientRequest): Promise<HttpAnswer> => {
    const scopes = request.alsoPull
      ? [...ownScopes, `repository:${request.alsoPull}:pull`]
      : ownScopes;
    const body = request.stream ?? request.body;
    // One answer for the challenge, one for a token that ended on the way.
    for (let logins = 0; ; logins++) {
      const value = await authorizer.header(scopes);
      const answer = await exchange({
        method: request.method,
        url: new URL(request.url, base),
        insecure,
        signal,
        largestAnswer: request.largestAnswer ?? SMALL_ANSWER,
        noRedirect: request.stream !== undefined,
        streamAnswer: request.streamAnswer ?? false,
        ...(request.headers ? { headers: request.headers } : {}),
        ...(body ? { body } : {}),
        ...(value === undefined ? {} : { authorization: { origin: base.origin, value } }),
      });
      if (request.accept.includes(answer.status)) return answer;
      if (answer.status !== 401 || answer.url.origin !== base.origin) {
        throw serverFault(answer, `${request.doing}: ${answer.url.host}`, authorizer.redact);
      }
      const challenge = answer.headers.get('www-authenticate');
      const canTryAgain = logins < 2 && (await authorizer.learn(challenge, scopes, value));
      if (!canTryAgain) throw unauthorized(reference.registry, credentials);
      if (request.stream) throw mayPass(unauthorized(reference.registry, credentials));
    }
  };
  const greet = async (): Promise<void> => {
    const answer = await withRetries(async () => {
      const url = new URL('/v2/', base);
      const largestAnswer = SMALL_ANSWER;
      const greeting = await exchange({ method: 'GET', url, insecure, signal, largestAnswer });
      if ([200, 401, 403, 404, 405].includes(greeting.status)) return greeting;
      throw serverFault(greeting, greeting.url.host, authorizer.redact);
    }, signal);
    if (answer.status !== 401 || answer.url.origin !== base.origin) return;
    try {
      await authorizer.learn(answer.headers.get('www-authenticate'), ownScopes, undefined);
    } catch (error) {
      // The repository itself may be open to all; if not, its own answer will be the error.
      if ((error as { code?: unknown }).code !== 'UPORT_REGISTRY_UNAUTHORIZED') throw error;
    }
  };
  return { reference, base, insecure, signal, greet, send };
}
