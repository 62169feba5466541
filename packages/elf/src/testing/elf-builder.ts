/** A segment of the caller's own, placed after the builder's. */
export interface ExtraSegment {
  readonly type: number;
  readonly flags?: number;
  readonly data?: Uint8Array;
  readonly vaddr?: bigint;
  /** Bytes in memory; the data's length by default. */
  readonly memsz?: bigint;
  readonly align?: bigint;
}

export interface ElfNoteSpec {
  /** Without its NUL byte. */
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

export interface ElfDynamicSpec {
  readonly needed?: readonly string[];
  /** As it stands in the file, folders joined with `:`. */
  readonly rpath?: string;
  readonly runpath?: string;
  readonly soname?: string;
  readonly flags?: number;
  readonly flags1?: number;
  /** Adds DT_DEBUG. */
  readonly debug?: boolean;
  /** Further entries, after the builder's. */
  readonly extra?: readonly (readonly [tag: bigint, value: bigint])[];
}

/** An ELF file to build. Strings are bytes (Latin-1). */
export interface ElfSpec {
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
  /** e_type; 2 (ET_EXEC) by default. */
  readonly type?: number;
  readonly flags?: number;
  readonly osabi?: number;
  readonly osabiVersion?: number;
  readonly entry?: bigint;
  readonly interpreter?: string;
  readonly dynamic?: ElfDynamicSpec;
  readonly notes?: readonly ElfNoteSpec[];
  /** NT_GNU_BUILD_ID in hex. */
  readonly buildId?: string;
  /** NT_GNU_ABI_TAG: system number and version. */
  readonly abiTag?: readonly [os: number, major: number, minor: number, patch: number];
  readonly segments?: readonly ExtraSegment[];
  /** What lies at the end of the loaded segment: code, or anything. */
  readonly body?: Uint8Array;
  /** e_phnum 0xffff with the number in section header 0. */
  readonly extendedCount?: boolean;
}

type Format = Pick<ElfSpec, 'bits' | 'order'>;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly vaddr: bigint;
  readonly filesz: bigint;
  readonly memsz: bigint;
  readonly align: bigint;
}

const PAGE = 0x10000n;
const ET_EXEC = 2;
const ET_DYN = 3;

/**
 * A small, valid ELF file of any CPU: one PT_LOAD over the whole file and what is asked for, no
 * section headers. The same spec gives the same bytes.
 */
export function buildElf(spec: ElfSpec): Uint8Array {
  const type = spec.type ?? ET_EXEC;
  const loaded = type === ET_EXEC || type === ET_DYN;
  const base = type === ET_EXEC ? 0x400000n : 0n;
  const notes = allNotes(spec);
  const extra = spec.segments ?? [];
  const count =
    [loaded, spec.interpreter !== undefined, spec.dynamic, notes.length > 0].filter(Boolean)
      .length + extra.length;
  const image = imageWriter();

  image.reserve(ehdrSize(spec) + count * phdrSize(spec));
  const segments: Segment[] = [];
  const place = (segmentType: number, flags: number, bytes: Uint8Array, align: number) => {
    const offset = image.append(bytes, align);
    segments.push({
      type: segmentType,
      flags,
      offset: BigInt(offset),
      vaddr: base + BigInt(offset),
      filesz: BigInt(bytes.length),
      memsz: BigInt(bytes.length),
      align: BigInt(align),
    });
  };
  if (spec.interpreter !== undefined) place(3, 4, latin1(`${spec.interpreter}\0`), 1);
  if (notes.length > 0) {
    const bytes = concat(notes.map((note) => noteBytes(note, spec)));
    place(4, 4, bytes, 4);
  }
  if (spec.dynamic) {
    const { strings, entries } = dynamicEntries(spec.dynamic);
    const table = base + BigInt(image.append(strings, 1));
    const all: readonly (readonly [bigint, bigint])[] = [
      ...entries,
      [5n, table],
      [10n, BigInt(strings.length)],
      ...(spec.dynamic.extra ?? []),
      [0n, 0n],
    ];
    place(
      2,
      6,
      concat(all.flatMap(([tag, value]) => [word(tag, spec), word(value, spec)])),
      spec.bits / 8,
    );
  }
  const entry = image.append(spec.body ?? new Uint8Array(0), 16);
  const end = BigInt(image.size());
  if (loaded) {
    segments.unshift({
      type: 1,
      flags: 7,
      offset: 0n,
      vaddr: base,
      filesz: end,
      memsz: end,
      align: PAGE,
    });
  }
  for (const segment of extra) {
    const data = segment.data ?? new Uint8Array(0);
    const align = segment.align ?? 1n;
    // As loaders want it: offset and address equal modulo the alignment.
    const offset = image.append(data, Number(align > 1n ? align : 1n));
    segments.push({
      type: segment.type,
      flags: segment.flags ?? 4,
      offset: BigInt(offset),
      vaddr: segment.vaddr ?? 0n,
      filesz: BigInt(data.length),
      memsz: segment.memsz ?? BigInt(data.length),
      align,
    });
  }
  const shoff = spec.extendedCount
    ? image.append(sectionZero(spec, segments.length), spec.bits / 8)
    : 0;
  image.write(0, header(spec, type, spec.entry ?? base + BigInt(entry), segments.length, shoff));
  image.write(ehdrSize(spec), concat(segments.map((segment) => programHeader(segment, spec))));
  return image.bytes();
}

function ehdrSize({ bits }: Format): number {
  return bits === 64 ? 64 : 52;
}

function phdrSize({ bits }: Format): number {
  return bits === 64 ? 56 : 32;
}

function shdrSize({ bits }: Format): number {
  return bits === 64 ? 64 : 40;
}

function header(
  spec: ElfSpec,
  type: number,
  entry: bigint,
  count: number,
  shoff: number,
): Uint8Array {
  const ident = new Uint8Array(16);
  ident.set([0x7f, 0x45, 0x4c, 0x46, spec.bits / 32, spec.order === 'lsb' ? 1 : 2, 1]);
  ident[7] = spec.osabi ?? 0;
  ident[8] = spec.osabiVersion ?? 0;
  return concat([
    ident,
    half(type, spec),
    half(spec.machine, spec),
    int(1, spec),
    word(entry, spec),
    word(BigInt(count > 0 ? ehdrSize(spec) : 0), spec),
    word(BigInt(shoff), spec),
    int(spec.flags ?? 0, spec),
    half(ehdrSize(spec), spec),
    half(phdrSize(spec), spec),
    half(spec.extendedCount ? 0xffff : count, spec),
    half(shdrSize(spec), spec),
    half(spec.extendedCount ? 1 : 0, spec),
    half(0, spec),
  ]);
}

function programHeader(segment: Segment, format: Format): Uint8Array {
  const type = int(segment.type, format);
  const flags = int(segment.flags, format);
  const places = [segment.offset, segment.vaddr, segment.vaddr, segment.filesz, segment.memsz].map(
    (value) => word(value, format),
  );
  const align = word(segment.align, format);
  return concat(
    format.bits === 64 ? [type, flags, ...places, align] : [type, ...places, flags, align],
  );
}

function sectionZero(format: Format, count: number): Uint8Array {
  const bytes = new Uint8Array(shdrSize(format));
  bytes.set(int(count, format), format.bits === 64 ? 44 : 28);
  return bytes;
}

function allNotes(spec: ElfSpec): readonly ElfNoteSpec[] {
  const notes = [...(spec.notes ?? [])];
  if (spec.abiTag) {
    notes.push({ name: 'GNU', type: 1, desc: concat(spec.abiTag.map((part) => int(part, spec))) });
  }
  if (spec.buildId !== undefined) {
    notes.push({ name: 'GNU', type: 3, desc: Buffer.from(spec.buildId, 'hex') });
  }
  return notes;
}

function noteBytes(note: ElfNoteSpec, format: Format): Uint8Array {
  const name = latin1(`${note.name}\0`);
  return concat([
    int(name.length, format),
    int(note.desc.length, format),
    int(note.type, format),
    padded(name, 4),
    padded(note.desc, 4),
  ]);
}

function dynamicEntries(spec: ElfDynamicSpec): {
  strings: Uint8Array;
  entries: readonly (readonly [bigint, bigint])[];
} {
  let table = '\0';
  const name = (text: string) => {
    const index = BigInt(table.length);
    table += `${text}\0`;
    return index;
  };
  const entries: [bigint, bigint][] = (spec.needed ?? []).map((text) => [1n, name(text)]);
  if (spec.soname !== undefined) entries.push([14n, name(spec.soname)]);
  if (spec.rpath !== undefined) entries.push([15n, name(spec.rpath)]);
  if (spec.runpath !== undefined) entries.push([29n, name(spec.runpath)]);
  if (spec.debug) entries.push([21n, 0n]);
  if (spec.flags !== undefined) entries.push([30n, BigInt(spec.flags)]);
  if (spec.flags1 !== undefined) entries.push([0x6ffffffbn, BigInt(spec.flags1)]);
  return { strings: latin1(table), entries };
}

function imageWriter() {
  let bytes = new Uint8Array(0);
  const grow = (size: number) => {
    if (size <= bytes.length) return;
    const larger = new Uint8Array(size);
    larger.set(bytes);
    bytes = larger;
  };
  return {
    reserve: grow,
    size: () => bytes.length,
    bytes: () => bytes,
    write: (offset: number, data: Uint8Array) => bytes.set(data, offset),
    append: (data: Uint8Array, align: number) => {
      const offset = Math.ceil(bytes.length / align) * align;
      grow(offset + data.length);
      bytes.set(data, offset);
      return offset;
    },
  };
}

function number(size: 2 | 4 | 8, value: bigint, { order }: Format): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, order === 'lsb');
  return order === 'lsb' ? bytes.subarray(0, size) : bytes.subarray(8 - size);
}

function half(value: number, format: Format): Uint8Array {
  return number(2, BigInt(value), format);
}

function int(value: number, format: Format): Uint8Array {
  return number(4, BigInt(value >>> 0), format);
}

function word(value: bigint, format: Format): Uint8Array {
  return number(format.bits === 64 ? 8 : 4, value, format);
}

function padded(bytes: Uint8Array, align: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / align) * align);
  out.set(bytes);
  return out;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
