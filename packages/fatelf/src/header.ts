// The FatELF header, 8 bytes: magic, version, number of records. FatELF specification, version 1.

/** What the first 8 bytes say; not yet checked. All fields are little endian on every CPU. */
export interface FatElfHeader {
  readonly magic: number;
  readonly version: number;
  readonly count: number;
  /** Must be 0. */
  readonly reserved: number;
}

/** Bytes fa 70 0e 1f. */
export const FATELF_MAGIC = 0x1f0e70fa;
export const FATELF_VERSION = 1;
export const HEADER_SIZE = 8;

/** The count is one byte. */
export const MAX_RECORDS = 255;

export function readHeader(bytes: Uint8Array): FatElfHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  return {
    magic: view.getUint32(0, true),
    version: view.getUint16(4, true),
    count: view.getUint8(6),
    reserved: view.getUint8(7),
  };
}

export function writeHeader(header: FatElfHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.magic, true);
  view.setUint16(4, header.version, true);
  view.setUint8(6, header.count);
  view.setUint8(7, header.reserved);
  return bytes;
}
