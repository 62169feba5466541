// GNU notes (PT_NOTE): build id, ABI tag and properties. gABI chapter 5 "Note Section", Linux Extensions to gABI.
import { type ByteSource, readRange } from './byte-source.ts';
import { byteString, type ElfFormat, fieldsOf } from './fields.ts';
import { type ProgramHeader, PT_NOTE } from './program-header.ts';

export interface AbiTag {
  /** `linux`, `hurd`, `solaris`, `freebsd`, or `os<number>`. */
  readonly os: string;
  /** The oldest kernel it runs on, as `3.2.0`. */
  readonly version: string;
}

/** A property of NT_GNU_PROPERTY_TYPE_0 with a 4-byte value: CPU features needed or used. */
export interface GnuProperty {
  readonly type: number;
  readonly value: number;
}

export interface ElfNotes {
  /** NT_GNU_BUILD_ID in hex. */
  readonly buildId?: string;
  readonly abiTag?: AbiTag;
  readonly properties: readonly GnuProperty[];
}

const NT_GNU_ABI_TAG = 1;
const NT_GNU_BUILD_ID = 3;
const NT_GNU_PROPERTY_TYPE_0 = 5;
const ABI_SYSTEMS = ['linux', 'hurd', 'solaris', 'freebsd'];

/** Real segments have a few hundred bytes. What lies past the first 64 KiB is not looked at. */
const MAX_SEGMENT = 65_536n;
const MAX_TOTAL = 262_144n;
const MAX_BUILD_ID = 64;
const MAX_PROPERTIES = 256;

interface Note {
  readonly type: number;
  readonly desc: Uint8Array;
}

/**
 * Notes decide nothing about loading, so a malformed one ends its segment's list instead of
 * refusing a file that runs.
 */
export async function readNotes(
  source: ByteSource,
  format: ElfFormat,
  segments: readonly ProgramHeader[],
): Promise<ElfNotes> {
  const found: { buildId?: string; abiTag?: AbiTag } = {};
  const properties: GnuProperty[] = [];
  let left = MAX_TOTAL;
  for (const segment of segments) {
    if (segment.type !== PT_NOTE || segment.filesz === 0n) continue;
    const length = [segment.filesz, MAX_SEGMENT, left].reduce((a, b) => (a < b ? a : b));
    if (length === 0n) break;
    left -= length;
    const bytes = await readRange(source, segment.offset, length, 'a PT_NOTE segment');
    for (const note of gnuNotes(bytes, format, segment.align === 8n ? 8 : 4)) {
      if (note.type === NT_GNU_BUILD_ID && note.desc.length <= MAX_BUILD_ID) {
        found.buildId ??= Buffer.from(note.desc).toString('hex');
      } else if (note.type === NT_GNU_ABI_TAG && note.desc.length >= 16) {
        found.abiTag ??= abiTag(note.desc, format);
      } else if (note.type === NT_GNU_PROPERTY_TYPE_0) {
        for (const property of gnuProperties(note.desc, format)) {
          if (properties.length < MAX_PROPERTIES) properties.push(property);
        }
      }
    }
  }
  return { ...found, properties: Object.freeze(properties) };
}

function* gnuNotes(bytes: Uint8Array, format: ElfFormat, align: number): Generator<Note> {
  const fields = fieldsOf(bytes, format);
  const aligned = (offset: number) => Math.ceil(offset / align) * align;
  for (let place = 0; place + 12 <= bytes.length; ) {
    const nameSize = fields.u32(place);
    const descStart = aligned(place + 12 + nameSize);
    const descEnd = descStart + fields.u32(place + 4);
    if (descEnd > bytes.length) return;
    if (nameSize === 4 && byteString(bytes.subarray(place + 12, place + 16)) === 'GNU\0') {
      yield { type: fields.u32(place + 8), desc: bytes.subarray(descStart, descEnd) };
    }
    place = aligned(descEnd);
  }
}

function abiTag(desc: Uint8Array, format: ElfFormat): AbiTag {
  const fields = fieldsOf(desc, format);
  const system = fields.u32(0);
  return Object.freeze({
    os: ABI_SYSTEMS[system] ?? `os${system}`,
    version: [4, 8, 12].map((offset) => fields.u32(offset)).join('.'),
  });
}

function* gnuProperties(desc: Uint8Array, format: ElfFormat): Generator<GnuProperty> {
  const fields = fieldsOf(desc, format);
  const align = format.bits / 8;
  for (let place = 0; place + 8 <= desc.length; ) {
    const size = fields.u32(place + 4);
    if (place + 8 + size > desc.length) return;
    if (size === 4) {
      yield Object.freeze({ type: fields.u32(place), value: fields.u32(place + 8) });
    }
    place = Math.ceil((place + 8 + size) / align) * align;
  }
}
