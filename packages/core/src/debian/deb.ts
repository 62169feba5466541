import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { UportError } from '@uport/errors';
import { type ArMember, readAr } from './ar.ts';
import { type TarEntry, untar } from './untar.ts';
import { unxz } from './xz.ts';

/**
 * The files that a Debian package installs, one after another as they stand in `data.tar`. An
 * entry's content can be read only until the next one is asked for; what is not read is skipped.
 * Returning early stops the unpacking.
 *
 * @throws UportError UPORT_DEB_INVALID, UPORT_AR_INVALID, UPORT_XZ_INVALID
 */
export async function* readDebData(debFile: string, signal: AbortSignal): AsyncGenerator<TarEntry> {
  const member = await findData(debFile);
  try {
    for await (const entry of untar(readMember(debFile, member, signal))) {
      signal.throwIfAborted();
      yield entry;
    }
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UportError && error.code !== 'UPORT_TAR_INVALID') throw error;
    throw invalid(debFile, `its files cannot be read: ${(error as Error).message}`, error);
  }
}

/** As `readDebData`, but only regular files whose path (such as `usr/bin/busybox`) is wanted. */
export async function* extractFromDeb(
  debFile: string,
  wanted: (path: string) => boolean,
  signal: AbortSignal,
): AsyncGenerator<TarEntry> {
  for await (const entry of readDebData(debFile, signal)) {
    if (entry.type === 'file' && wanted(entry.path)) yield entry;
  }
}

/** Where `data.tar` lies in the package, and how it is compressed. */
export async function findData(debFile: string): Promise<ArMember> {
  return (await findMembers(debFile)).data;
}

/** Where `control.tar` and `data.tar` lie. @throws UportError UPORT_DEB_INVALID, UPORT_AR_INVALID */
export async function findMembers(
  debFile: string,
): Promise<{ readonly control: ArMember | undefined; readonly data: ArMember }> {
  const file = await open(debFile, 'r');
  try {
    const members = await readAr(file);
    const find = (pattern: RegExp) => members.find((member) => pattern.test(member.name));
    const data = find(/^data\.tar(?:\.|$)/);
    if (members[0]?.name !== 'debian-binary' || !data) {
      throw invalid(debFile, 'it has no debian-binary and data.tar');
    }
    return { control: find(/^control\.tar(?:\.|$)/), data };
  } finally {
    await file.close();
  }
}

async function* readMember(
  debFile: string,
  member: ArMember,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (member.name !== 'data.tar.xz') {
    yield* unpackMember(debFile, member, signal);
    return;
  }
  // Copies: whoever reads a package may keep what it is given.
  for await (const chunk of unpackMember(debFile, member, signal)) yield chunk.slice();
}

/**
 * The unpacked bytes of a package's `control.tar` or `data.tar`. A chunk holds its bytes only until
 * the next one is asked for.
 *
 * @throws UportError UPORT_DEB_INVALID, UPORT_XZ_INVALID
 */
export async function* unpackMember(
  debFile: string,
  member: ArMember,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { name, offset, size } = member;
  const suffix = name.slice(name.indexOf('.tar') + '.tar'.length);
  if (size === 0) throw invalid(debFile, `its ${name} is empty`);
  if (suffix === '.xz') {
    yield* unxz(debFile, offset, offset + size, signal);
    return;
  }
  const input = createReadStream(debFile, {
    start: offset,
    end: offset + size - 1,
    highWaterMark: 1 << 20,
    signal,
  });
  if (suffix === '') yield* input;
  else if (suffix === '.gz') yield* unpackWith(input, createGunzip());
  else if (suffix === '.zst') yield* unpackWith(input, createZstdDecompress());
  else throw invalid(debFile, `${name} is compressed in a way that is not known`);
}

async function* unpackWith(
  input: Readable,
  unpacker: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
): AsyncGenerator<Uint8Array> {
  input.on('error', (error) => unpacker.destroy(error));
  try {
    yield* Readable.from(input.pipe(unpacker), { objectMode: false });
  } finally {
    input.destroy();
    unpacker.destroy();
  }
}

function invalid(file: string, message: string, cause?: unknown): UportError {
  return new UportError({
    code: 'UPORT_DEB_INVALID',
    category: 'input',
    message: `not a readable Debian package: ${message}`,
    hint: 'get the file again',
    file,
    ...(cause === undefined ? {} : { cause }),
  });
}
