import { readFile } from 'node:fs/promises';
import { UportError } from '@uport/errors';
import type { PublicKey } from 'openpgp';
import { DEBIAN_ARCHIVE_KEYS } from './archive-keyring.ts';
import type { DebianContext } from './context.ts';

let bundled: Promise<readonly PublicKey[]> | undefined;

/** The keyring file that replaces Debian's own keys, if one is named. */
export function keyringFile(context: DebianContext): string | undefined {
  return context.debian?.keyring || (context.env ?? process.env).UPORT_DEBIAN_KEYRING || undefined;
}

/**
 * The keys that may sign a Release file: Debian's, or those of the named file (armored or binary).
 *
 * @throws UportError UPORT_DEBIAN_KEYRING_INVALID
 */
export async function archiveKeys(context: DebianContext): Promise<readonly PublicKey[]> {
  const file = keyringFile(context);
  if (file === undefined) {
    bundled ??= readBundled();
    return bundled;
  }
  const { readKeys } = await import('openpgp');
  try {
    const bytes = await readFile(file);
    const text = bytes.toString('latin1');
    const keys = await (text.trimStart().startsWith('-----BEGIN PGP')
      ? readKeys({ armoredKeys: text })
      : readKeys({ binaryKeys: new Uint8Array(bytes) }));
    return keys.map((key) => key.toPublic());
  } catch (error) {
    throw new UportError({
      code: 'UPORT_DEBIAN_KEYRING_INVALID',
      category: 'input',
      message: `no OpenPGP keys can be read: ${(error as Error).message}`,
      hint: 'name a keyring such as that of the package debian-archive-keyring, or none',
      file,
      cause: error,
    });
  }
}

async function readBundled(): Promise<readonly PublicKey[]> {
  const { readKey } = await import('openpgp');
  return Promise.all(DEBIAN_ARCHIVE_KEYS.map((armoredKey) => readKey({ armoredKey })));
}
