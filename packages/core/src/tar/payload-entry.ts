// A payload's entries as those of a tar.
import { UportError } from '@uport/errors';
import type { ContentSource } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import type { TarContent, TarEntry } from './tar-blocks.ts';

/** @throws UportError UPORT_CONTENT_MISSING */
export function payloadTarEntry(entry: PayloadEntry, content: ContentSource): TarEntry {
  const { path, mode, uid, gid, mtime, xattrs } = entry;
  const base = {
    path,
    mode,
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtime !== undefined && { mtime }),
    ...(xattrs !== undefined && { xattrs }),
  };
  switch (entry.type) {
    case 'file':
      return {
        type: 'file',
        ...base,
        size: entry.size,
        content: tarContent(entry.digest, content),
      };
    case 'directory':
    case 'fifo':
      return { type: entry.type, ...base };
    case 'symlink':
    case 'hardlink':
      return { type: entry.type, ...base, target: entry.target };
    default:
      return { type: entry.type, ...base, device: entry.device };
  }
}

/** @throws UportError UPORT_CONTENT_MISSING */
export function tarContent(digest: Digest, content: ContentSource): TarContent {
  const found = content.locate(digest);
  if (found !== undefined) return { file: found, digest };
  throw new UportError({
    code: 'UPORT_CONTENT_MISSING',
    category: 'input',
    message: `no file with the digest ${digest} is at hand`,
    hint: 'build again: the store may have been cleared meanwhile',
  });
}
