import { UportError } from '@uport/errors';
import type { PublicKey } from 'openpgp';
import { type Digest, sha256Digest } from '../model/digest.ts';
import { parseParagraph } from './deb822.ts';

/** A file that a Release file lists, by size and digest. */
export interface ListedFile {
  readonly size: number;
  readonly digest: Digest;
}

/** What a signed Release file says about its suite. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  readonly date: Date;
  readonly validUntil: Date | undefined;
  readonly byHash: boolean;
  readonly architectures: readonly string[];
  /** By path below `dists/SUITE/`. */
  readonly files: ReadonlyMap<string, ListedFile>;
}

/** A clock may be off by this much before a Release file counts as one from the future. */
const CLOCK_SLACK = 24 * 60 * 60 * 1000;

/**
 * Checks the signature of an InRelease file and reads what was signed, and only that.
 *
 * @param where its URL, for messages
 * @param archived a key that has expired since the signature was made counts; a revoked one does not
 * @throws UportError UPORT_DEBIAN_UNSIGNED, UPORT_DEBIAN_SIGNATURE_BAD, UPORT_DEBIAN_RELEASE_INVALID
 */
export async function readInRelease(
  bytes: Uint8Array,
  keys: readonly PublicKey[],
  now: Date,
  where: string,
  archived = false,
): Promise<Release> {
  const { readCleartextMessage, verify } = await import('openpgp');
  const cleartextMessage = Buffer.from(bytes).toString('utf8');
  if (!/^-----BEGIN PGP SIGNED MESSAGE-----\r?$/m.test(cleartextMessage)) {
    throw fault('UPORT_DEBIAN_UNSIGNED', `${where} is not signed`);
  }
  let text: string;
  const reasons: string[] = [];
  try {
    const message = await readCleartextMessage({ cleartextMessage });
    const result = await verify({ message, verificationKeys: [...keys], date: now });
    text = result.data;
    let good = false;
    for (const signature of result.signatures) {
      const id = signature.keyID.toHex();
      try {
        await signature.verified;
        // A key that has expired since may be in other hands: as apt does, such a signature does not count.
        const key = keys.find((each) => each.getKeys(signature.keyID).length > 0);
        if (!archived) await key?.getSigningKey(signature.keyID, now);
        else if (await key?.isRevoked()) throw new Error('it was revoked');
        good = key !== undefined;
        if (good) break;
      } catch (error) {
        reasons.push(`key ${id}: ${(error as Error).message}`);
      }
    }
    if (!good) throw new Error(reasons.join('; ') || 'it has no signature');
  } catch (error) {
    throw fault(
      'UPORT_DEBIAN_SIGNATURE_BAD',
      `${where} has no good signature of Debian's archive: ${(error as Error).message}`,
      error,
    );
  }
  return parseRelease(text, where);
}

/** Reads a Release file whose signature was checked. */
export function parseRelease(text: string, where: string): Release {
  const fields = parseParagraph(text);
  const date = readDate(fields.get('date'));
  if (!date) throw fault('UPORT_DEBIAN_RELEASE_INVALID', `${where} has no date`);
  const files = new Map<string, ListedFile>();
  for (const line of (fields.get('sha256') ?? '').split('\n')) {
    const parts = /^([0-9a-f]{64})\s+(\d{1,15})\s+(\S+)$/.exec(line.trim());
    if (!parts) continue;
    files.set(parts[3] as string, {
      digest: sha256Digest(parts[1] as string),
      size: Number(parts[2]),
    });
  }
  return {
    suite: fields.get('suite') ?? '',
    codename: fields.get('codename') ?? '',
    date,
    validUntil: readDate(fields.get('valid-until')),
    byHash: fields.get('acquire-by-hash') === 'yes',
    architectures: (fields.get('architectures') ?? '').split(/\s+/).filter((name) => name),
    files,
  };
}

/**
 * Refuses a Release file of another suite or from the future. One past its Valid-Until is a stale
 * mirror: that is answered as a warning, since an older suite would give older programs still.
 *
 * @throws UportError UPORT_DEBIAN_WRONG_SUITE, UPORT_DEBIAN_RELEASE_INVALID
 */
export function checkRelease(
  release: Release,
  suite: string,
  now: Date,
  where: string,
): string | undefined {
  if (suite !== release.suite && suite !== release.codename) {
    throw fault(
      'UPORT_DEBIAN_WRONG_SUITE',
      `${where} is of ${release.codename || release.suite}, not ${suite}`,
    );
  }
  if (release.date.getTime() > now.getTime() + CLOCK_SLACK) {
    throw new UportError({
      code: 'UPORT_DEBIAN_RELEASE_INVALID',
      category: 'environment',
      message: `${where} is from the future (${release.date.toISOString()})`,
      hint: "set this machine's clock",
    });
  }
  return release.validUntil && release.validUntil.getTime() < now.getTime()
    ? `${where} was to be replaced by ${release.validUntil.toISOString().slice(0, 10)}: the mirror is stale`
    : undefined;
}

function readDate(text: string | undefined): Date | undefined {
  const date = new Date((text ?? '').replace(/ UTC$/, ' GMT'));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function fault(code: `UPORT_DEBIAN_${string}`, message: string, cause?: unknown): UportError {
  return new UportError({
    code,
    category: 'network',
    message,
    hint: 'name another mirror with UPORT_DEBIAN_MIRROR; for an archive with keys of its own, name them with UPORT_DEBIAN_KEYRING',
    ...(cause === undefined ? {} : { cause }),
  });
}
