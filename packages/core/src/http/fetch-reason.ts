/** fetch says only "fetch failed"; what happened is in its causes. */
export function fetchReason(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    const text = at.message || code || at.name;
    if (!parts.includes(text) && text !== 'fetch failed') parts.push(text);
  }
  return parts.join(': ') || 'the connection failed';
}
