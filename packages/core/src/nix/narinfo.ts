// The .narinfo of a binary cache: what is known of one store object.
import { UportError } from '@uport/errors';
import { formatNixHash, type NixHash, parseNixHash } from './hash.ts';
import type { NixPublicKey } from './public-key.ts';
import { fixedOutputStorePath, parseStorePath } from './store-path.ts';

export interface NarInfo {
  readonly storePath: string;
  /** The NAR's address, relative to the cache or absolute. */
  readonly url: string;
  /** `none`, `xz`, `zstd`, … */
  readonly compression: string;
  /** Of the file at `url`. */
  readonly fileHash?: NixHash;
  readonly fileSize?: number;
  /** Of the NAR; sha256. */
  readonly narHash: NixHash;
  readonly narSize: number;
  /** Full store paths; the object itself may be among them. */
  readonly references: readonly string[];
  readonly signatures: readonly string[];
  /** How the path follows from the content, if it does: `fixed:r:sha256:…`, `text:sha256:…`. */
  readonly ca?: string;
}

/** No .narinfo is longer: a store object has at most some thousands of references. */
export const MAX_NARINFO = 4 << 20;

/**
 * Reads a .narinfo. Lines that are not known are passed over, as Nix does.
 *
 * @throws UportError UPORT_NIX_NARINFO_INVALID
 */
export function parseNarInfo(text: string): NarInfo {
  const values = new Map<string, string>();
  const signatures: string[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const colon = line.indexOf(': ');
    const key = colon < 0 ? line.replace(/:$/, '') : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 2);
    if (colon < 0 && !line.endsWith(':')) throw invalid(`has the line ${shown(line)}`);
    if (key === 'Sig') signatures.push(value);
    else if (values.has(key)) throw invalid(`has two lines of ${shown(key)}`);
    else values.set(key, value);
  }
  const need = (key: string): string => {
    const value = values.get(key);
    if (value) return value;
    throw invalid(`has no ${key}`);
  };
  try {
    const storePath = need('StorePath');
    const { storeDir } = parseStorePath(storePath);
    const references = (values.get('References') ?? '').split(' ').filter((name) => name !== '');
    const paths = references.map((name) => `${storeDir}/${name}`);
    for (const path of paths) parseStorePath(path);
    const fileHash = values.get('FileHash');
    const fileSize = values.get('FileSize');
    const ca = values.get('CA');
    return {
      storePath,
      url: need('URL'),
      // What is not said is bzip2: that is how caches began.
      compression: values.get('Compression') || 'bzip2',
      ...(fileHash && { fileHash: parseNixHash(fileHash) }),
      ...(fileSize && { fileSize: size(fileSize) }),
      narHash: parseNixHash(sha256Only(need('NarHash')), 'sha256'),
      narSize: size(need('NarSize')),
      references: paths,
      signatures,
      ...(ca && { ca }),
    };
  } catch (error) {
    if (error instanceof UportError && error.code !== 'UPORT_NIX_NARINFO_INVALID') {
      throw invalid(`is wrong: ${error.message}`);
    }
    throw error;
  }
}

function size(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw invalid(`has the size ${shown(text)}`);
}

function sha256Only(text: string): string {
  if (/^sha256[-:]/.test(text)) return text;
  throw invalid(`has the hash ${shown(text)}, which is no sha256`);
}

/** What a cache's key signs: the path, its NAR's hash and size, and its references. */
export function narInfoFingerprint(
  info: Pick<NarInfo, 'storePath' | 'narHash' | 'narSize' | 'references'>,
): string {
  const hash = formatNixHash(info.narHash, 'base32');
  const references = [...info.references].sort().join(',');
  return `1;${info.storePath};sha256:${hash};${info.narSize};${references}`;
}

/** Whether one of the keys signed it, or its path follows from its content. */
export function isTrusted(info: NarInfo, keys: readonly NixPublicKey[]): boolean {
  if (isContentAddressed(info)) return true;
  const fingerprint = narInfoFingerprint(info);
  return info.signatures.some((each) => keys.some((key) => key.verifies(fingerprint, each)));
}

/** The path is computed anew from the hash that `CA` names; a NAR of another hash is refused later. */
function isContentAddressed({ ca, storePath, narHash, references }: NarInfo): boolean {
  const fixed = /^fixed:r:(sha256:[0-9a-z]+)$/.exec(ca ?? '');
  if (fixed === null) return false;
  const { storeDir, name } = parseStorePath(storePath);
  const hash = parseNixHash(fixed[1] as string, 'sha256');
  // An object that refers to itself is hashed without those references: that takes its bytes.
  if (!Buffer.from(hash.bytes).equals(narHash.bytes) || references.includes(storePath))
    return false;
  const options = { storeDir, references };
  return fixedOutputStorePath({ name, method: 'recursive', hash }, options) === storePath;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_NARINFO_INVALID',
    category: 'input',
    message: `the .narinfo ${what}`,
    hint: 'the cache is damaged or is none; look at the file',
  });
}
