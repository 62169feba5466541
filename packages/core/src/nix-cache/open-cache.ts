import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFault } from './faults.ts';
import { folderTransport } from './folder-transport.ts';
import { httpTransport } from './http-transport.ts';
import { s3Transport } from './s3-transport.ts';
import type { CacheTransport } from './transport.ts';

/** A binary cache, and what its address says besides where it lies. */
export interface OpenCache {
  readonly transport: CacheTransport;
  /** `?trusted=true`: its objects need no signature. */
  readonly trusted: boolean;
  /** `?trusted-public-keys=`: further keys that sign for it. */
  readonly trustedKeys: readonly string[];
}

/** Settings that Nix takes in the query of a store's address. */
const OWN_SETTINGS = [
  'trusted',
  'trusted-public-keys',
  'compression',
  'priority',
  'want-mass-query',
  'secret-key',
];

/**
 * Opens a binary cache by its address, as Nix spells it: `file:///DIR`, `https://HOST/PATH`,
 * `http://…`, `s3://BUCKET?region=…&endpoint=…`; a bare folder too.
 *
 * @throws UportError UPORT_NIX_CACHE_URL, UPORT_AWS_PROFILE
 */
export async function openCache(address: string): Promise<OpenCache> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    return { transport: folderTransport(path.resolve(address)), trusted: false, trustedKeys: [] };
  }
  if (!URL.canParse(address)) throw invalid(address);
  const url = new URL(address);
  const trusted = url.searchParams.get('trusted') === 'true';
  const trustedKeys = (url.searchParams.get('trusted-public-keys') ?? '')
    .split(' ')
    .filter(Boolean);
  if (scheme === 'file') {
    url.search = '';
    return { transport: folderTransport(fileFolder(url, address)), trusted, trustedKeys };
  }
  if (scheme === 'http' || scheme === 'https') {
    for (const name of OWN_SETTINGS) url.searchParams.delete(name);
    return { transport: httpTransport(url), trusted, trustedKeys };
  }
  if (scheme === 's3') return { transport: await s3Transport(url), trusted, trustedKeys };
  throw invalid(address);
}

function fileFolder(url: URL, address: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw invalid(address);
  }
}

function invalid(address: string): Error {
  return cacheFault(
    'UPORT_NIX_CACHE_URL',
    `${JSON.stringify(
      address
        .replace(/\/\/.*@/, '//')
        .replace(/\?.*/, '')
        .slice(0, 300),
    )} is no address of a binary cache`,
    'write a folder, file:///DIR, https://HOST/PATH or s3://BUCKET?region=REGION',
  );
}
