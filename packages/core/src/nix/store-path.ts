// Store paths from what they hold: the Nix manual, "Complete Store Path Calculation".
import { createHash } from 'node:crypto';
import { UportError } from '@uport/errors';
import { decodeNixBase32, encodeNixBase32, nixBase32Length } from './base32.ts';
import { formatNixHash, type NixHash } from './hash.ts';

export const NIX_STORE_DIR = '/nix/store';

/** A store path's digest is a sha256 folded to this many bytes. */
const FOLDED = 20;
const MAX_NAME = 211;

export interface StorePathOptions {
  /** `/nix/store` unless told. */
  readonly storeDir?: string;
  /** Full store paths that the object refers to, in any order. */
  readonly references?: readonly string[];
}

export interface FixedOutput {
  readonly name: string;
  /** `recursive`: the hash is of the NAR; `flat`: of the bytes of one file. */
  readonly method: 'recursive' | 'flat';
  readonly hash: NixHash;
}

/**
 * Where a fixed-output derivation, `nix-store --add-fixed` or `nix-store --add` (recursive, sha256)
 * puts its result.
 *
 * @throws UportError UPORT_NIX_NAME_INVALID
 */
export function fixedOutputStorePath(
  output: FixedOutput,
  options: StorePathOptions & { /** Refers to itself. */ readonly self?: boolean } = {},
): string {
  const { name, method, hash } = output;
  const base16 = formatNixHash(hash, 'base16');
  if (method === 'recursive' && hash.algorithm === 'sha256') {
    const type = ['source', ...sortedReferences(options), ...(options.self ? ['self'] : [])];
    return storePath(type.join(':'), base16, name, options);
  }
  if ((options.references?.length ?? 0) > 0 || options.self) {
    throw new UportError({
      code: 'UPORT_NIX_REFERENCES_UNSUPPORTED',
      category: 'usage',
      message: 'only a recursive sha256 store object can refer to others',
      hint: 'hash its NAR with sha256',
    });
  }
  const kind = method === 'recursive' ? 'r:' : '';
  const inner = sha256(`fixed:out:${kind}${hash.algorithm}:${base16}:`).toString('hex');
  return storePath('output:out', inner, name, options);
}

/**
 * Where `builtins.toFile` and .drv files lie.
 *
 * @throws UportError UPORT_NIX_NAME_INVALID
 */
export function textStorePath(
  name: string,
  contents: Uint8Array | string,
  options: StorePathOptions = {},
): string {
  const type = ['text', ...sortedReferences(options)].join(':');
  return storePath(type, sha256(contents).toString('hex'), name, options);
}

function sortedReferences(options: StorePathOptions): readonly string[] {
  return [...new Set(options.references)].sort();
}

function storePath(
  type: string,
  base16: string,
  name: string,
  { storeDir = NIX_STORE_DIR }: StorePathOptions,
): string {
  checkName(name);
  const full = sha256(`${type}:sha256:${base16}:${storeDir}:${name}`);
  const folded = new Uint8Array(FOLDED);
  full.forEach((byte, i) => {
    folded[i % FOLDED] = (folded[i % FOLDED] as number) ^ byte;
  });
  return `${storeDir}/${encodeNixBase32(folded)}-${name}`;
}

function sha256(data: Uint8Array | string): Buffer {
  return createHash('sha256').update(data).digest();
}

/** Whether every Nix from 2.8 on takes it as the name of a store object. */
export function isStoreName(name: string): boolean {
  return name.length <= MAX_NAME && /^[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]*$/.test(name);
}

function checkName(name: string): void {
  if (isStoreName(name)) return;
  throw new UportError({
    code: 'UPORT_NIX_NAME_INVALID',
    category: 'input',
    message: `${JSON.stringify(name.slice(0, 300))} cannot name a store object`,
    hint: `use 1 to ${MAX_NAME} of letters, digits and + - . _ ? =, not starting with a dot`,
  });
}

/**
 * The nearest name that a store object can have: other characters become `-`, dots at the start go,
 * what is too long loses its end, nothing becomes `unnamed`.
 */
export function toStoreName(text: string): string {
  const name = text
    .replace(/^\.+/, '')
    .replace(/[^0-9A-Za-z+._?=-]+/g, '-')
    .slice(0, MAX_NAME);
  return name === '' ? 'unnamed' : name;
}

export interface StorePath {
  readonly storeDir: string;
  /** 32 digits in the base 32 of Nix. */
  readonly hash: string;
  readonly name: string;
}

/**
 * Takes a full store path apart; nothing may follow the name.
 *
 * @throws UportError UPORT_NIX_STORE_PATH_INVALID
 */
export function parseStorePath(text: string): StorePath {
  const slash = text.lastIndexOf('/');
  const base = text.slice(slash + 1);
  const length = nixBase32Length(FOLDED);
  const path = {
    storeDir: text.slice(0, slash),
    hash: base.slice(0, length),
    name: base.slice(length + 1),
  };
  if (slash > 0 && base[length] === '-' && isStoreName(path.name) && isBase32(path.hash)) {
    return path;
  }
  throw new UportError({
    code: 'UPORT_NIX_STORE_PATH_INVALID',
    category: 'input',
    message: `${JSON.stringify(text.slice(0, 400))} is not a store path`,
    hint: `a store path reads ${NIX_STORE_DIR}/<32 digits>-<name>`,
  });
}

function isBase32(text: string): boolean {
  try {
    return decodeNixBase32(text).length > 0;
  } catch {
    return false;
  }
}
