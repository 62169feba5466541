import type { Digest } from './digest.ts';

/** Where the bytes of a digest lie on this machine. Kept out of the plan, which is the same everywhere. */
export interface ContentSource {
  /** The path of a file with exactly these bytes, or undefined when it has none. */
  locate(digest: Digest): string | undefined;
}
