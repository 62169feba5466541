// A tar on disk whose members are read by name: what `docker save` and `skopeo copy` write.
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import path from 'node:path';
import zlib from 'node:zlib';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import { systemError } from '../system-error.ts';
import { byteReader } from '../tar/byte-reader.ts';
import { readTar } from '../tar/tar-reader.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';

export interface ArchiveFile {
  has(name: string): boolean;
  /** A small member. @throws UportError UPORT_IMAGE_MISSING, UPORT_IMAGE_TOO_LARGE */
  read(name: string, max: number): Promise<Buffer>;
  /** @throws UportError UPORT_IMAGE_MISSING */
  stream(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const MEMBERS_MAX = 100_000;
const LINKS_MAX = 8;
/** A compressed archive unpacks to so many bytes at most. */
const UNPACKED_MAX = 2 ** 38;
/** Or to so many times its size, once it is large. */
const RATIO_MAX = 200;
const UNPACKED_FREE = 1 << 30;

type Member = { readonly offset: number; readonly size: number } | { readonly link: string };

/**
 * Finds where each member lies. An archive that is gzipped as a whole is unpacked first.
 *
 * @throws UportError UPORT_IMAGE_TYPE, UPORT_TAR_INVALID, UPORT_NOT_FOUND
 */
export async function openArchive(
  file: string,
  store: Store,
  signal: AbortSignal,
): Promise<ArchiveFile> {
  let handle = await open(file, 'r').catch((error: unknown) => {
    throw systemError(error, file);
  });
  let unpacked: string | undefined;
  const close = async () => {
    await handle.close();
    if (unpacked !== undefined) await rm(unpacked, { force: true });
  };
  try {
    if (await isGzip(handle)) {
      unpacked = path.join(store.root, 'tmp', temporaryName());
      const plain = await open(unpacked, 'wx+', 0o600);
      const packed = handle;
      handle = plain;
      await gunzipTo(packed, plain, file, signal).finally(() => packed.close());
    }
    const members = await listMembers(handle, file, signal);
    const find = (name: string): { offset: number; size: number } => {
      let at = name;
      for (let links = 0; links <= LINKS_MAX; links++) {
        const member = members.get(path.posix.normalize(at));
        if (member === undefined) break;
        if (!('link' in member)) return member;
        // `docker save` has written links between layers.
        at = path.posix.join(path.posix.dirname(at), member.link);
      }
      throw imageFault(
        'UPORT_IMAGE_MISSING',
        file,
        `the archive has no ${JSON.stringify(name.slice(0, 200))}`,
        DO_NOT_USE,
      );
    };
    return {
      has: (name) => members.has(path.posix.normalize(name)),
      async read(name, max) {
        const { offset, size } = find(name);
        if (size > max) {
          throw imageFault(
            'UPORT_IMAGE_TOO_LARGE',
            file,
            `${JSON.stringify(name.slice(0, 200))} is a document of ${size} bytes; more than ${max} are not read`,
            DO_NOT_USE,
          );
        }
        const bytes = Buffer.alloc(size);
        const { bytesRead } = await handle.read(bytes, 0, size, offset);
        return bytes.subarray(0, bytesRead);
      },
      async *stream(name, stop) {
        const { offset, size } = find(name);
        for (let done = 0; done < size; ) {
          stop.throwIfAborted();
          const buffer = Buffer.allocUnsafeSlow(Math.min(size - done, 256 << 10));
          const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset + done);
          if (bytesRead === 0) return;
          done += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function isGzip(handle: FileHandle): Promise<boolean> {
  const magic = Buffer.alloc(2);
  await handle.read(magic, 0, 2, 0);
  return magic[0] === 0x1f && magic[1] === 0x8b;
}

async function gunzipTo(
  packed: FileHandle,
  plain: FileHandle,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const source = createReadStream('', { fd: packed.fd, autoClose: false, start: 0, signal });
  const stream = source.pipe(zlib.createGunzip({ chunkSize: 256 << 10 }));
  source.on('error', (error) => stream.destroy(error));
  const max = Math.min(
    UNPACKED_MAX,
    Math.max(UNPACKED_FREE, (await packed.stat()).size * RATIO_MAX),
  );
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > max) {
        throw imageFault(
          'UPORT_IMAGE_TOO_LARGE',
          file,
          'the archive unpacks to far more than its size',
          DO_NOT_USE,
        );
      }
      await plain.writeFile(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code?.startsWith('Z_')) {
      throw imageFault(
        'UPORT_IMAGE_DAMAGED',
        file,
        'the archive does not decompress',
        DO_NOT_USE,
        error,
      );
    }
    throw error;
  }
}

async function listMembers(
  handle: FileHandle,
  file: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Member>> {
  const members = new Map<string, Member>();
  const chunks = async function* () {
    for (let at = 0; ; ) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafeSlow(1 << 20);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  };
  const reader = byteReader(chunks());
  for await (const member of readTar(reader)) {
    if (members.size >= MEMBERS_MAX) {
      throw imageFault(
        'UPORT_IMAGE_TOO_MANY',
        file,
        `the archive has more than ${MEMBERS_MAX} members`,
        DO_NOT_USE,
      );
    }
    const name = path.posix.normalize(member.path);
    // The content has not been read yet.
    if (member.type === 'file') members.set(name, { offset: reader.offset, size: member.size });
    if (member.type === 'symlink') members.set(name, { link: member.target });
    if (member.type === 'hardlink') {
      const linked = members.get(path.posix.normalize(member.target));
      if (linked) members.set(name, linked);
    }
  }
  return members;
}
