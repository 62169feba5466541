/**
 * Compares two Debian versions, `[epoch:]upstream[-revision]`, as deb-version(7) says: negative
 * when `a` is older.
 */
export function compareDebianVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    left.epoch - right.epoch ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

/** The upstream version: without epoch and Debian revision, and without what repacking added. */
export function upstreamVersion(version: string): string {
  return split(version).upstream.replace(/[+~](?:ds|dfsg).*$/, '');
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon === -1 ? 0 : Number.parseInt(version.slice(0, colon), 10) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? '' : rest.slice(dash + 1),
  };
}

function comparePart(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = order(a[i]) - order(b[j]);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const [left, right] = [digitsAt(a, i), digitsAt(b, j)];
    i += left.length;
    j += right.length;
    const [x, y] = [left.replace(/^0+/, ''), right.replace(/^0+/, '')];
    const difference = x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

/** `~` sorts before the end, the end and digits before letters, letters before the rest. */
function order(char: string | undefined): number {
  if (char === '~') return -1;
  if (char === undefined || isDigit(char)) return 0;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}

function digitsAt(text: string, start: number): string {
  let end = start;
  while (isDigit(text[end])) end++;
  return text.slice(start, end);
}
