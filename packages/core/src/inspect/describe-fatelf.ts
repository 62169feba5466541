import { createHash } from 'node:crypto';
import { type ByteSource, type Linkage, partOf, readElf, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { infoFatElf, type Range } from '@uport/fatelf';
import { withFile } from '@uport/fatelf/files';
import { archOfElf, platformName } from '../model/arch.ts';
import { type Digest, sha256Digest } from '../model/digest.ts';

export interface FatElfPartDescription {
  /** In bytes from the start of the file. */
  readonly offset: number;
  readonly size: number;
  /** Of its bytes; undefined in a damaged file. */
  readonly digest: Digest | undefined;
}

export interface FatElfRecordDescription extends FatElfPartDescription {
  readonly index: number;
  /** The full name that picks it out: `x86_64:64bit:le:sysv:osabiver0`. */
  readonly target: string;
  /** uport's name of the CPU; undefined when QEMU has no such guest or the file is damaged. */
  readonly arch: string | undefined;
  /** `linux/arm64/v8`. */
  readonly platform: string | undefined;
  /** Undefined when the program's own tables cannot be read. */
  readonly linkage: Linkage | undefined;
}

export interface FatElfDescription {
  readonly version: number;
  /** In bytes. */
  readonly size: number;
  readonly records: readonly FatElfRecordDescription[];
  /** What comes after the last ELF; undefined when nothing does. */
  readonly trailing: FatElfPartDescription | undefined;
  /** Why its programs cannot be relied on; `validateArtifact` looks deeper. */
  readonly faults: readonly UportError[];
}

/**
 * What a FatELF file holds, also a damaged one.
 *
 * @throws UportError UPORT_FATELF_NOT_FATELF, UPORT_FATELF_VERSION, UPORT_FATELF_TRUNCATED,
 *   UPORT_FATELF_NOT_FILE
 */
export async function describeFatElf(
  file: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<FatElfDescription> {
  return withFile(file, async (source) => {
    const { version, records, trailing, faults } = await infoFatElf(source);
    // The places in a damaged table may lead anywhere, all of them to everything.
    const sound = faults.length === 0;
    const part = async (range: Range): Promise<FatElfPartDescription> => ({
      ...range,
      digest: sound ? await digestOf(source, range, signal) : undefined,
    });
    const described: FatElfRecordDescription[] = [];
    for (const { index, target, ...record } of records) {
      const range = { offset: Number(record.offset), size: Number(record.size) };
      const slice = sound ? partOf(source, range.offset, range.size) : undefined;
      const arch = slice && archOfElf(await readElfIdentity(slice));
      described.push({
        index,
        target,
        arch: arch?.name,
        platform: arch?.oci && platformName(arch.oci),
        linkage: slice && (await linkageOf(slice)),
        ...(await part(range)),
      });
    }
    return {
      version,
      size: source.size,
      records: described,
      trailing: trailing.size === 0 ? undefined : await part(trailing),
      faults: faults.map((fault) => fault.inFile(file)),
    };
  });
}

async function linkageOf(slice: ByteSource): Promise<Linkage | undefined> {
  try {
    return (await readElf(slice)).linkage;
  } catch (error) {
    if (error instanceof UportError && error.code.startsWith('UPORT_ELF_')) return undefined;
    throw error;
  }
}

const CHUNK = 1024 * 1024;

async function digestOf(
  source: ByteSource,
  { offset, size }: Range,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  const hash = createHash('sha256');
  for (let done = 0; done < size; done += CHUNK) {
    signal?.throwIfAborted();
    hash.update(await source.read(offset + done, Math.min(CHUNK, size - done)));
  }
  return sha256Digest(hash.digest('hex'));
}
