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
}

/** Requests for one repository: authorised, tried again, bounded. */
export interface RegistryClient {
  readonly reference: ImageReference;
  readonly base: URL;
  readonly insecure: boolean;
  readonly signal: AbortSignal;
  /** @throws UportError UPORT_REGISTRY_* */
  send(request: ClientRequest): Promise<HttpAnswer>;
}

const SMALL_ANSWER = 64 << 10;

export function createClient(options: {
  readonly reference: ImageReference;
  readonly credentials: Credentials | undefined;
  readonly insecure: boolean;
  readonly signal: AbortSignal;
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
  const send = (request: ClientRequest) => {
    const attempt = () => sendOnce(request);
    return request.stream ? attempt() : withRetries(attempt, signal);
  };
  const sendOnce = async (request: ClientRequest): Promise<HttpAnswer> => {
    const scopes = [`repository:${reference.repository}:pull,push`];
    if (request.alsoPull) scopes.push(`repository:${request.alsoPull}:pull`);
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
  return { reference, base, insecure, signal, send };
}
