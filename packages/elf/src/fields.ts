/** Class and byte order: what decides how every field of an ELF file is read. */
export interface ElfFormat {
  readonly bits: 32 | 64;
  readonly order: 'lsb' | 'msb';
}

/** Reads fixed-size fields of one structure; offsets are the caller's to keep inside it. */
export interface Fields {
  u8(offset: number): number;
  u16(offset: number): number;
  u32(offset: number): number;
  /** 4 or 8 bytes, by class. */
  word(offset: number): bigint;
}

export function fieldsOf(bytes: Uint8Array, format: ElfFormat): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = format.order === 'lsb';
  return {
    u8: (offset) => view.getUint8(offset),
    u16: (offset) => view.getUint16(offset, little),
    u32: (offset) => view.getUint32(offset, little),
    word:
      format.bits === 64
        ? (offset) => view.getBigUint64(offset, little)
        : (offset) => BigInt(view.getUint32(offset, little)),
  };
}

/** Bytes as a string of one character each (Latin-1): names in ELF files are bytes, not text. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
