// The common format of ar(5) archives: 8 bytes of magic, then members, each with a 60-byte header.
import type { FileHandle } from 'node:fs/promises';
import { UportError } from '@uport/errors';

const MAGIC = '!<arch>\n';
const HEADER = 60;
const END = '`\n';
/** A .deb has three members, or a few more. */
const MAX_MEMBERS = 64;

export interface ArMember {
  readonly name: string;
  /** Of its first byte in the file. */
  readonly offset: number;
  readonly size: number;
}

/**
 * Lists the members of an archive.
 *
 * @throws UportError UPORT_AR_INVALID
 */
export async function readAr(file: FileHandle): Promise<readonly ArMember[]> {
  const { size: total } = await file.stat();
  if ((await readText(file, 0, MAGIC.length)) !== MAGIC) throw invalid('it is no ar archive', 0);
  const members: ArMember[] = [];
  for (let at = MAGIC.length; at < total; ) {
    if (members.length === MAX_MEMBERS) throw invalid(`more than ${MAX_MEMBERS} members`, at);
    const header = await readText(file, at, HEADER);
    if (header.length < HEADER || !header.endsWith(END)) throw invalid('a header is damaged', at);
    const digits = header.slice(48, 58).trim();
    const size = /^\d{1,10}$/.test(digits) ? Number(digits) : Number.NaN;
    const offset = at + HEADER;
    if (!(offset + size <= total)) throw invalid('a member ends past the end', at);
    members.push({ name: header.slice(0, 16).trim().replace(/\/$/, ''), offset, size });
    // Members begin at even offsets.
    at = offset + size + (size % 2);
  }
  return members;
}

async function readText(file: FileHandle, offset: number, length: number): Promise<string> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  return buffer.toString('latin1', 0, bytesRead);
}

function invalid(what: string, offset: number): UportError {
  return new UportError({
    code: 'UPORT_AR_INVALID',
    category: 'input',
    message: `not a readable ar archive: ${what}`,
    hint: 'get the file again',
    offset,
  });
}
