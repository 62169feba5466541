import type { UportError } from '@uport/errors';
import { printable, registryFault } from './faults.ts';
import type { HttpAnswer } from './http.ts';
import { LONGEST_WAIT, mayPass, parseRetryAfter } from './retry.ts';

/** What an answer with an unwanted status means. `who` begins the sentence. */
export function serverFault(
  answer: HttpAnswer,
  who: string,
  redact: (text: string) => string,
): UportError {
  const { status } = answer;
  const said = printable(redact(errorText(answer.body)));
  const message = `${who} answered ${status}${said ? `: ${said}` : ''}`;
  const wait = parseRetryAfter(answer.headers.get('retry-after'), Date.now());
  if (status === 429) {
    return mayPass(
      registryFault(
        'UPORT_REGISTRY_RATE_LIMITED',
        message,
        wait > LONGEST_WAIT
          ? `try again in ${Math.ceil(wait / 1000)} seconds`
          : 'try again later, or log in: limits are often higher then',
      ),
      wait,
    );
  }
  if (status === 408 || (status >= 500 && status !== 501 && status !== 505)) {
    return mayPass(registryFault('UPORT_REGISTRY_UNAVAILABLE', message, 'try again later'), wait);
  }
  if (status === 403) {
    return registryFault(
      'UPORT_REGISTRY_DENIED',
      message,
      'check that the repository exists and that your login may push to it',
    );
  }
  return registryFault('UPORT_REGISTRY_REFUSED', message, hintFor(status, said));
}

function hintFor(status: number, said: string): string {
  if (status === 400 && /HTTP request (?:was sent )?to (?:an )?HTTPS/i.test(said)) {
    return 'the registry speaks TLS: leave --insecure away';
  }
  if (status === 404) return 'check the registry’s address, and that the repository exists';
  if (status === 413) return 'raise the size limit of the registry or of the proxy before it';
  return 'the registry’s log tells more';
}

/** The distribution specification's error list, or the first line of the text. */
function errorText(body: Buffer): string {
  const text = body.toString('utf8');
  try {
    const { errors } = JSON.parse(text) as {
      errors?: readonly { code?: unknown; message?: unknown; detail?: unknown }[];
    };
    if (Array.isArray(errors)) {
      return errors
        .slice(0, 3)
        .map((error) => `${String(error?.code ?? '')} ${String(error?.message ?? '')}`.trim())
        .join('; ');
    }
  } catch {
    // Not JSON: a proxy's page.
  }
  return /^\s*</.test(text) ? '' : (text.split('\n', 1)[0] ?? '');
}
