import type { Digest } from './digest.ts';

/** Where the bytes of a digest lie on this machine. Kept out of the plan, which is the same everywhere. */
export interface ContentSource {
  /** A file with exactly these bytes, or a part of one; undefined when it has none. */
  locate(digest: Digest): ContentPlace | undefined;
}

/** A file by its path (raw bytes where it is not UTF-8), or a part of one. */
export type ContentPlace = string | Buffer | FilePart;

export interface FilePart {
  readonly file: string | Buffer;
  /** Of its first byte in the file. */
  readonly offset: number;
  readonly size: number;
}

/** A place as a part of a file; the whole file has no `size`. */
export function placeOf(place: ContentPlace): {
  readonly file: string | Buffer;
  readonly offset: number;
  readonly size: number | undefined;
} {
  if (typeof place === 'string' || Buffer.isBuffer(place)) {
    return { file: place, offset: 0, size: undefined };
  }
  return place;
}

/** What `createReadStream` takes to read just this place; parts of no bytes cannot be read so. */
export function rangeOf({ offset, size }: { offset: number; size: number | undefined }): {
  start?: number;
  end?: number;
} {
  return size === undefined ? {} : { start: offset, end: offset + size - 1 };
}
