import { UportError } from '@uport/errors';

/** A fault of a binary cache or of the way to it. */
export function cacheFault(
  code: `UPORT_NIX_CACHE_${string}`,
  message: string,
  hint: string,
  cause?: unknown,
): UportError {
  return new UportError({
    code,
    category: code === 'UPORT_NIX_CACHE_URL' ? 'usage' : 'network',
    message,
    hint,
    ...(cause !== undefined && { cause }),
  });
}

/** fetch says only "fetch failed"; what happened is in its causes. */
export function reasonOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    const text = at.message || code || at.name;
    if (!parts.includes(text) && text !== 'fetch failed') parts.push(text);
  }
  return parts.join(': ') || 'the connection failed';
}
