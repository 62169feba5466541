// What a script needs of a system: its interpreter, and the tools of other packages that it calls.

/** Debian's packages of the interpreters in script lines. */
const INTERPRETERS: Readonly<Record<string, string>> = {
  sh: 'dash',
  dash: 'dash',
  bash: 'bash',
  ksh: 'ksh',
  perl: 'perl-base',
  python3: 'python3-minimal',
};

/** Tools that wrapper scripts call, by package. */
const TOOLS: Readonly<Record<string, RegExp>> = {
  coreutils:
    /\b(?:basename|cat|chmod|cp|cut|date|dirname|env|expr|head|id|ln|ls|mkdir|mktemp|mv|nohup|readlink|realpath|rm|seq|sleep|sort|stat|tail|touch|tr|uname|wc|whoami)\b/,
  sed: /\bsed\b/,
  grep: /\be?grep\b/,
  mawk: /\bawk\b/,
  findutils: /\b(?:find|xargs)\b/,
  procps: /\b(?:ps|pgrep|pkill)\b/,
  'util-linux': /\b(?:getopt|flock|setsid|taskset)\b/,
};

/**
 * The packages that a script's first line and words ask for; none for other files. Too many do no
 * harm: comments and texts count too.
 *
 * @param text the script's first bytes, one character each
 */
export function packagesForScript(text: string): readonly string[] {
  const line = /^#![ \t]*(\S+)(?:[ \t]+(\S+))?/.exec(text);
  if (!line) return [];
  const base = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  const byEnv = base(line[1] as string) === 'env';
  const name = byEnv ? (line[2] ?? '') : base(line[1] as string);
  const interpreter = Object.hasOwn(INTERPRETERS, name) ? INTERPRETERS[name] : undefined;
  const isShell = interpreter === 'dash' || interpreter === 'bash' || interpreter === 'ksh';
  const tools = isShell ? Object.keys(TOOLS).filter((each) => TOOLS[each]?.test(text)) : [];
  return [
    ...new Set([...(interpreter ? [interpreter] : []), ...(byEnv ? ['coreutils'] : []), ...tools]),
  ];
}
