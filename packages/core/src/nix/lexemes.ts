// The words of the Nix language: what may stand bare, and how everything else is quoted.
import { UportError } from '@uport/errors';

const KEYWORDS = new Set([
  'assert',
  'else',
  'if',
  'in',
  'inherit',
  'let',
  'or',
  'rec',
  'then',
  'with',
]);
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_'-]*$/;

export function isNixIdentifier(text: string): boolean {
  return IDENTIFIER.test(text) && !KEYWORDS.has(text);
}

/** @throws UportError UPORT_NIX_IDENTIFIER_INVALID */
export function identifier(text: string): string {
  if (isNixIdentifier(text)) return text;
  throw fault('IDENTIFIER', text, 'is not a name of Nix', 'use letters, digits, _ and -');
}

/**
 * The inside of a `"` string. What follows the text decides about a `$` at its end.
 *
 * @throws UportError UPORT_NIX_STRING_INVALID for NUL and unpaired surrogates, which Nix cannot hold
 */
export function escapeString(text: string, followedByExpression = false): string {
  checkText(text);
  const escaped = text.replace(/[\\"\n\r\t]|\$(?=\{)/g, (char) => ESCAPES[char] ?? `\\${char}`);
  return followedByExpression ? escaped.replace(/\$$/, '\\$') : escaped;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `"text"`. @throws UportError UPORT_NIX_STRING_INVALID */
export function quote(text: string): string {
  return `"${escapeString(text)}"`;
}

/**
 * Part of a line of a `''` string.
 *
 * @throws UportError UPORT_NIX_STRING_INVALID also for control characters
 */
export function escapeScript(text: string, followedByExpression: boolean): string {
  checkText(text);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f]/.test(text)) {
    throw fault('STRING', text, 'has control characters', 'use a plain string for data');
  }
  // The lexer takes `''` first: a quote before an escaped `$` must be escaped itself.
  const dollar = followedByExpression ? '\\$(?:\\{|$)' : '\\$\\{';
  const special = new RegExp(`''|'(?=${dollar})|(?=${dollar})`, 'g');
  return text.replace(special, (found) => SCRIPT_ESCAPES[found] as string);
}

const SCRIPT_ESCAPES: Readonly<Record<string, string>> = {
  "''": "'''",
  "'": "''\\'",
  '': "''",
};

function checkText(text: string): void {
  if (!text.includes('\0') && text.isWellFormed()) return;
  throw fault('STRING', text, 'holds NUL or half a character', 'leave those out of texts for Nix');
}

/** @throws UportError UPORT_NIX_PATH_INVALID */
export function relativePath(path: string): string {
  const parts = path.split('/');
  const plain = parts.slice(1).every((part) => /^[A-Za-z0-9._+-]+$/.test(part));
  if ((parts[0] === '.' || parts[0] === '..') && parts.length > 1 && plain) return path;
  throw fault(
    'PATH',
    path,
    'is not a path that Nix reads',
    'add other names as strings: ./. + "/a b"',
  );
}

/** @throws UportError UPORT_NIX_PATH_INVALID */
export function lookupPath(path: string): string {
  if (/^[A-Za-z0-9._+-]+(\/[A-Za-z0-9._+-]+)*$/.test(path)) return `<${path}>`;
  throw fault('PATH', path, 'is not a path that Nix looks up', 'write it as in nix/fetchurl.nix');
}

/** A whole number that Nix can write. @throws UportError UPORT_NIX_INTEGER_INVALID */
export function integer(value: number | bigint): string {
  const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
  // The least one cannot be written: Nix reads the minus apart from the digits.
  if (whole && BigInt(value) < 2n ** 63n && BigInt(value) > -(2n ** 63n)) return String(value);
  throw fault('INTEGER', String(value), 'is no whole number of 64 bits', 'use a string');
}

/** `# text`, one per line. @throws UportError UPORT_NIX_COMMENT_INVALID */
export function commentLines(lines: readonly string[]): readonly string[] {
  return lines.map((line) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\x00-\x1f]/.test(line) || !line.isWellFormed()) {
      throw fault('COMMENT', line, 'has control characters', 'give each line by itself');
    }
    return `# ${line}`.trimEnd();
  });
}

function fault(kind: string, text: string, what: string, hint: string): UportError {
  return new UportError({
    code: `UPORT_NIX_${kind}_INVALID`,
    category: 'input',
    message: `${JSON.stringify(text.slice(0, 200))} ${what}`,
    hint,
  });
}
