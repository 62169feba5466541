import { type ErrorCategory, UportError } from '@uport/errors';

/** The stable codes of everything that can fail in a push. */
export type RegistryFaultCode =
  | 'UPORT_REGISTRY_REFERENCE'
  | 'UPORT_REGISTRY_LAYOUT'
  | 'UPORT_REGISTRY_LAYOUT_AMBIGUOUS'
  | 'UPORT_REGISTRY_CREDENTIALS'
  | 'UPORT_REGISTRY_UNAUTHORIZED'
  | 'UPORT_REGISTRY_DENIED'
  | 'UPORT_REGISTRY_AUTH'
  | 'UPORT_REGISTRY_RATE_LIMITED'
  | 'UPORT_REGISTRY_UNREACHABLE'
  | 'UPORT_REGISTRY_TLS'
  | 'UPORT_REGISTRY_RESPONSE'
  | 'UPORT_REGISTRY_REFUSED'
  | 'UPORT_REGISTRY_UNAVAILABLE'
  | 'UPORT_REGISTRY_DIGEST'
  | 'UPORT_REGISTRY_REFERRERS';

const CATEGORY: Readonly<Record<RegistryFaultCode, ErrorCategory>> = {
  UPORT_REGISTRY_REFERENCE: 'usage',
  UPORT_REGISTRY_REFERRERS: 'network',
  UPORT_REGISTRY_LAYOUT: 'input',
  UPORT_REGISTRY_LAYOUT_AMBIGUOUS: 'usage',
  UPORT_REGISTRY_CREDENTIALS: 'environment',
  UPORT_REGISTRY_UNAUTHORIZED: 'network',
  UPORT_REGISTRY_DENIED: 'network',
  UPORT_REGISTRY_AUTH: 'network',
  UPORT_REGISTRY_RATE_LIMITED: 'network',
  UPORT_REGISTRY_UNREACHABLE: 'network',
  UPORT_REGISTRY_TLS: 'network',
  UPORT_REGISTRY_RESPONSE: 'network',
  UPORT_REGISTRY_REFUSED: 'network',
  UPORT_REGISTRY_UNAVAILABLE: 'network',
  UPORT_REGISTRY_DIGEST: 'network',
};

export function registryFault(
  code: RegistryFaultCode,
  message: string,
  hint: string,
  more: { readonly file?: string; readonly cause?: unknown } = {},
): UportError {
  return new UportError({ code, category: CATEGORY[code], message, hint, ...more });
}

/** Text that a server sent, fit for a terminal: one line, printable, short. */
export function printable(text: string, limit = 200): string {
  const line = text
    .slice(0, limit * 4)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}

/** A URL without the query, which may hold an upload's state or a signature. */
export function urlForPeople(url: URL): string {
  return printable(`${url.protocol}//${url.host}${url.pathname}`, 300);
}
