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
