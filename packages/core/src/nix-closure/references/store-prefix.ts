// Where a closure goes that leaves /nix/store: every object keeps the length of its path. Pure.
import { UportError } from '@uport/errors';
import { NIX_STORE_DIR, parseStorePath } from '../../nix/store-path.ts';

/** Where a rewritten closure lies unless another place is named. */
export const DEFAULT_STORE_PREFIX = '/opt/uport/store';

/** What is replaced of a store path: the folder, a slash and the hash part. */
export const REPLACED_LENGTH = NIX_STORE_DIR.length + 1 + 32;

/** So few digits still tell the objects of a closure apart. */
const MIN_DIGITS = 8;

/** The new places of a closure's objects. */
export interface StorePlaces {
  /** Absolute, without a slash at its end. */
  readonly prefix: string;
  /** Digits that a new name begins with. */
  readonly digits: number;
  /** The hash parts of the objects. */
  has(hash: string): boolean;
  /** What takes the place of `/nix/store/HASH`: just as long. */
  absolute(hash: string): string;
  /** The new first digits of an object's name. */
  digitsOf(hash: string): string;
}

/**
 * Gives each object `PREFIX/DIGITS-NAME` in place of `/nix/store/HASH-NAME`, where DIGITS are as many
 * of the hash part's as make both equally long (followed by zeros under a short prefix). So bytes can
 * be replaced anywhere in a file without moving others, as Nix does with hash parts.
 *
 * @param paths full store paths
 * @throws UportError UPORT_NIX_STORE_PREFIX for a prefix that is too long or has other characters than
 * letters, digits and `._+-`, or when two objects would get one name
 */
export function storePlaces(prefix: string, paths: readonly string[]): StorePlaces {
  checkPrefix(prefix);
  const digits = REPLACED_LENGTH - prefix.length - 1;
  const names = new Map<string, string>();
  const taken = new Map<string, string>();
  for (const path of paths) {
    const { hash, name } = parseStorePath(path);
    const short = hash.padEnd(digits, '0').slice(0, digits);
    const other = taken.get(`${short}-${name}`);
    if (other !== undefined && other !== path) {
      throw invalid(`${other} and ${path} would get one name in ${prefix}`, 'name a shorter one');
    }
    taken.set(`${short}-${name}`, path);
    names.set(hash, short);
  }
  const digitsOf = (hash: string): string => {
    const short = names.get(hash);
    if (short === undefined) throw new TypeError(`${hash} is no object of the closure`);
    return short;
  };
  return {
    prefix,
    digits,
    has: (hash) => names.has(hash),
    absolute: (hash) => `${prefix}/${digitsOf(hash)}`,
    digitsOf,
  };
}

/** Checks a prefix before anything is read. @throws UportError UPORT_NIX_STORE_PREFIX */
export function checkPrefix(prefix: string): void {
  const parts = prefix.split('/').slice(1);
  const plain = /^(?:\/[A-Za-z0-9._+-]+)+$/.test(prefix);
  if (!plain || parts.some((part) => part === '.' || part === '..')) {
    throw invalid(
      `${JSON.stringify(prefix.slice(0, 200))} is no place for a closure`,
      `write an absolute path of letters, digits and ._+- such as ${DEFAULT_STORE_PREFIX}`,
    );
  }
  const most = REPLACED_LENGTH - 1 - MIN_DIGITS;
  if (prefix.length > most) {
    throw invalid(
      `${prefix} is ${prefix.length} bytes long, and paths must keep their length`,
      `name one of at most ${most} bytes`,
    );
  }
  if (prefix === NIX_STORE_DIR || prefix.startsWith(`${NIX_STORE_DIR}/`)) {
    throw invalid(`${prefix} is where the closure is already`, 'leave --store-prefix out');
  }
}

function invalid(message: string, hint: string): UportError {
  return new UportError({ code: 'UPORT_NIX_STORE_PREFIX', category: 'usage', message, hint });
}
