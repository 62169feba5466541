import type { Digest } from './digest.ts';

/** Where the bytes of a digest lie on this machine. Kept out of the plan, which is the same everywhere. */
export interface ContentSource {
  /** The path of a file with exactly these bytes (raw bytes where it is not UTF-8), or undefined when it has none. */
  locate(digest: Digest): string | Buffer | undefined;
}
