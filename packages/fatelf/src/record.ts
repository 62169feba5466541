// A FatELF record, 24 bytes: whose ELF it is and where it lies. FatELF specification, version 1.

/** The fields that say for whom an ELF is. No two records of a file may have all of them equal. */
export interface RecordIdentity {
  /** e_machine. */
  readonly machine: number;
  /** EI_OSABI. */
  readonly osabi: number;
  /** EI_ABIVERSION. */
  readonly osabiVersion: number;
  /** EI_CLASS: 1 for 32 bit, 2 for 64 bit. */
  readonly elfClass: number;
  /** EI_DATA: 1 for little endian, 2 for big endian. */
  readonly data: number;
}

/** A record as it stands in the file; any number may come. */
export interface RawRecord extends RecordIdentity {
  /** Two bytes that must be 0. */
  readonly reserved: number;
  /** In bytes from the start of the container. */
  readonly offset: bigint;
  readonly size: bigint;
}

export const RECORD_SIZE = 24;

export function readRecord(bytes: Uint8Array): RawRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_SIZE);
  return {
    machine: view.getUint16(0, true),
    osabi: view.getUint8(2),
    osabiVersion: view.getUint8(3),
    elfClass: view.getUint8(4),
    data: view.getUint8(5),
    reserved: view.getUint16(6, true),
    offset: view.getBigUint64(8, true),
    size: view.getBigUint64(16, true),
  };
}

export function writeRecord(record: RawRecord): Uint8Array {
  const bytes = new Uint8Array(RECORD_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, record.machine, true);
  view.setUint8(2, record.osabi);
  view.setUint8(3, record.osabiVersion);
  view.setUint8(4, record.elfClass);
  view.setUint8(5, record.data);
  view.setUint16(6, record.reserved, true);
  view.setBigUint64(8, record.offset, true);
  view.setBigUint64(16, record.size, true);
  return bytes;
}

export function sameIdentity(a: RecordIdentity, b: RecordIdentity): boolean {
  return (
    a.machine === b.machine &&
    a.osabi === b.osabi &&
    a.osabiVersion === b.osabiVersion &&
    a.elfClass === b.elfClass &&
    a.data === b.data
  );
}
