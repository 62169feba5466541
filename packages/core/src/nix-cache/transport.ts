/** A file of a binary cache that is being read. */
export interface CacheFile {
  /** In bytes, where it is known before the end. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A file of a binary cache that is to be written. */
export interface CacheUpload {
  /** In bytes. */
  readonly size: number;
  /** sha256 of the bytes, in hex. */
  readonly sha256: string;
  readonly contentType: string;
  /** The bytes; more than once where a try fails. */
  open(): AsyncIterable<Uint8Array>;
}

/** Where a binary cache lies. Names are relative, such as `nar/….nar.zst`. */
export interface CacheTransport {
  /** For people; holds no secret. */
  readonly url: string;
  /** Where a file lies on this machine, for a cache that does. */
  place?(name: string): string;
  /** Undefined when there is no such file. The stream is read to its end or given up. */
  read(name: string, signal: AbortSignal): Promise<CacheFile | undefined>;
  has(name: string, signal: AbortSignal): Promise<boolean>;
  /** Puts the file there whole, or not at all. */
  write(name: string, upload: CacheUpload, signal: AbortSignal): Promise<void>;
}
