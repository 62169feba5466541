// Which inputs of a build are of Nix.
import { lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { NIX_STORE_DIR, parseStorePath } from '../nix/store-path.ts';

/** A store path, or something inside it, and where the store lies. */
export interface NixInput {
  readonly storePath: string;
  /** Below the store path; empty for itself. */
  readonly inside: string;
  /** The folder in which `nix/store` lies; undefined when only the store path is known. */
  readonly root: string | undefined;
}

const MAX_LINKS = 40;
const STORE_PATH = /^(.*?)\/nix\/store\/([0-9a-z]{32}-[^/]+)(?:\/(.*?))?\/*$/s;

/**
 * Takes an input for a store path: `/nix/store/…`, `DIR/nix/store/…`, or a link to one, such as the
 * `result` of `nix build`. Undefined for anything else.
 *
 * @param store a store that was named: then links lead into it
 */
export function nixInput(input: string, store?: string): NixInput | undefined {
  let at = path.resolve(input);
  for (let links = 0; links <= MAX_LINKS; links++) {
    const found = STORE_PATH.exec(at);
    if (found !== null) {
      const [, above = '', name, inside = ''] = found;
      const storePath = `${NIX_STORE_DIR}/${name}`;
      if (!isStorePath(storePath)) return undefined;
      return { storePath, inside, root: store === undefined ? above || '/' : undefined };
    }
    const target = linkTarget(at);
    if (target === undefined) return undefined;
    at = path.resolve(path.dirname(at), target);
  }
  return undefined;
}

function isStorePath(text: string): boolean {
  try {
    return parseStorePath(text).name !== '';
  } catch {
    return false;
  }
}

function linkTarget(file: string): string | undefined {
  try {
    return lstatSync(file).isSymbolicLink() ? readlinkSync(file) : undefined;
  } catch {
    return undefined;
  }
}

/** A package's name without its version: the version begins at a dash before what is no letter. */
export function packageName(storeName: string): string {
  return /^(.+?)-[^A-Za-z].*$/s.exec(storeName)?.[1] ?? storeName;
}
