/**
 * Which of the wanted names stand in a string table, each between two NULs. One walk over the bytes:
 * tables have megabytes, and most names differ in length or first byte.
 */
export function namesAmong(table: Uint8Array, wanted: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set<string>();
  const firsts = new Uint8Array(256);
  let longest = 0;
  for (const name of wanted) {
    firsts[name.charCodeAt(0)] = 1;
    longest = Math.max(longest, name.length);
  }
  const bytes = Buffer.from(table.buffer, table.byteOffset, table.length);
  let start = -1;
  for (let at = 0; at < table.length; at++) {
    if (table[at] !== 0) continue;
    const length = at - start - 1;
    if (start >= 0 && length > 0 && length <= longest && firsts[table[start + 1] as number] === 1) {
      const name = bytes.toString('latin1', start + 1, at);
      if (wanted.has(name)) found.add(name);
    }
    start = at;
  }
  return found;
}
