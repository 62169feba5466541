/** One entry of a WWW-Authenticate header (RFC 9110, 11.6.1). */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const LONGEST_HEADER = 16 * 1024;
const SCHEME = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s+|(?=,|$))/y;
// Values without quotes may hold : and / here, which the grammar forbids and registries send.
const PARAMETER =
  /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s,"=][^\s,"]*))\s*(?=,|$)/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*\s*(?=,|$)/y;

/** Reads as many challenges as are well formed. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, LONGEST_HEADER);
  const challenges: Challenge[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  for (;;) {
    const scheme = match(SCHEME)?.[1];
    if (scheme === undefined) return challenges;
    const parameters = new Map<string, string>();
    let parameter = match(PARAMETER);
    if (!parameter) match(TOKEN68);
    while (parameter) {
      const [, name = '', quoted, bare = ''] = parameter;
      const value = quoted === undefined ? bare : quoted.replace(/\\([\s\S])/g, '$1');
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
      parameter = match(PARAMETER);
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
}
