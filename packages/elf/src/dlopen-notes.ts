// Package metadata for dlopen() dependencies: notes of owner "FDO" with a JSON array, as
// https://systemd.io/ELF_DLOPEN_METADATA/ describes.
import { type ByteSource, readRange } from './byte-source.ts';
import type { Elf } from './elf.ts';
import { byteString, fieldsOf } from './fields.ts';
import { PT_NOTE } from './program-header.ts';

/** One library that the file may open at run time. */
export interface DlopenNote {
  /** Names for it; the first that is found is used. */
  readonly sonames: readonly string[];
  readonly feature?: string;
  readonly description?: string;
  readonly priority: 'required' | 'recommended' | 'suggested';
}

const FDO_DLOPEN = 0x407c0c0a;
const MAX_SEGMENT = 1n << 20n;
/** Of all segments together, in bytes. */
const MAX_TOTAL = 4n << 20n;
const MAX_NOTES = 1024;
const PRIORITIES = ['required', 'recommended', 'suggested'] as const;

/**
 * Reads what the file says of the libraries it opens by itself. Notes decide nothing about loading,
 * so a malformed one is passed over.
 *
 * @throws UportError UPORT_ELF_TRUNCATED, UPORT_ELF_OUT_OF_BOUNDS
 */
export async function readDlopenNotes(
  source: ByteSource,
  elf: Elf,
): Promise<readonly DlopenNote[]> {
  const found: DlopenNote[] = [];
  // Many headers may name the same bytes.
  let left = MAX_TOTAL;
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE || segment.filesz === 0n) continue;
    if (left === 0n) break;
    const most = left < MAX_SEGMENT ? left : MAX_SEGMENT;
    const length = segment.filesz < most ? segment.filesz : most;
    left -= length;
    const bytes = await readRange(source, segment.offset, length, 'a PT_NOTE segment');
    const fields = fieldsOf(bytes, elf.identity);
    const align = segment.align === 8n ? 8 : 4;
    const aligned = (offset: number) => Math.ceil(offset / align) * align;
    for (let place = 0; place + 12 <= bytes.length && found.length < MAX_NOTES; ) {
      const start = aligned(place + 12 + fields.u32(place));
      const end = start + fields.u32(place + 4);
      if (end > bytes.length) break;
      const isOwn = fields.u32(place) === 4 && fields.u32(place + 8) === FDO_DLOPEN;
      if (isOwn && byteString(bytes.subarray(place + 12, place + 16)) === 'FDO\0') {
        found.push(...parse(bytes.subarray(start, end)));
      }
      place = aligned(end);
    }
  }
  return found.slice(0, MAX_NOTES);
}

function parse(desc: Uint8Array): readonly DlopenNote[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(desc).toString('utf8').replace(/\0+$/, ''));
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: unknown): DlopenNote[] => {
    if (typeof each !== 'object' || each === null) return [];
    const { soname, feature, description, priority } = each as Record<string, unknown>;
    const sonames = Array.isArray(soname)
      ? soname.filter((name): name is string => typeof name === 'string' && name !== '')
      : [];
    if (sonames.length === 0) return [];
    return [
      {
        sonames,
        ...(typeof feature === 'string' && { feature }),
        ...(typeof description === 'string' && { description }),
        priority: PRIORITIES.find((known) => known === priority) ?? 'recommended',
      },
    ];
  });
}
