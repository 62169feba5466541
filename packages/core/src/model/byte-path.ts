import { UportError } from '@uport/errors';
import type { BytePath } from './payload-tree.ts';

/** A path of a payload from its bytes. @throws UportError UPORT_PATH_INVALID */
export function bytePath(bytes: Uint8Array): BytePath {
  return parseBytePath(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'),
  );
}

/** A path of a payload from Unicode text, as UTF-8. @throws UportError UPORT_PATH_INVALID */
export function textPath(text: string): BytePath {
  return bytePath(Buffer.from(text, 'utf8'));
}

/** Checks a path whose characters stand for bytes. @throws UportError UPORT_PATH_INVALID */
export function parseBytePath(path: string): BytePath {
  const bad =
    path === '' ||
    path.includes('\0') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (!bad) return path as BytePath;
  throw new UportError({
    code: 'UPORT_PATH_INVALID',
    category: 'input',
    message: `${JSON.stringify(displayBytes(path))} is not a path inside the payload`,
    hint: 'a payload path is relative and has no empty, . or .. parts',
  });
}

/** The bytes of a payload path or link target. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Bytes as people read them: UTF-8 where it is valid, `\xNN` elsewhere. */
export function displayBytes(path: string): string {
  if (/^[\0-\x7f]*$/.test(path)) return path;
  const bytes = pathBytes(path);
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  return path.replace(
    /[^\x20-\x7e]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
