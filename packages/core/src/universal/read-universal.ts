import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdDecompress } from 'node:zlib';
import { type ByteSource, partOf, readElfIdentity } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type FatElfRecord, readFatElf } from '@uport/fatelf';
import { archOfElf } from '../model/arch.ts';
import { sha256Digest } from '../model/digest.ts';
import { singleZstdFrame } from '../zstd-frame.ts';
import { undoBranchFilter } from './branch-filter.ts';
import { streamSource } from './byte-streams.ts';
import {
  FOOTER_SIZE,
  indexDigest,
  type PayloadBlob,
  type PayloadFooter,
  type PayloadIndex,
  parseFooter,
  parseIndex,
  payloadId,
} from './payload-index.ts';
import { STAGE0_SIZE } from './stage0.ts';

const MAX_WINDOW_LOG = 25;

/** The forms of docs/formats/universal.md. */
export type UniversalForm = 'universal' | 'fatelf' | 'single-host';

/** A host's launcher in the file; offset and size in bytes. */
export interface LauncherPlace {
  readonly host: string;
  readonly offset: number;
  readonly size: number;
}

/** A universal file, its index read and checked; blobs are not. */
export interface UniversalFile {
  readonly form: UniversalForm;
  readonly id: string;
  /** Where the container begins; absent in the single-host form. */
  readonly containerOffset: number | undefined;
  readonly launchers: readonly LauncherPlace[];
  readonly payloadOffset: number;
  readonly footer: PayloadFooter;
  readonly index: PayloadIndex;
}

/**
 * Reads a file of any of the three forms.
 *
 * @returns undefined when the file has no payload at its end
 * @throws UportError UPORT_PAYLOAD_INVALID, UPORT_FATELF_*, UPORT_ELF_*
 */
export async function readUniversal(source: ByteSource): Promise<UniversalFile | undefined> {
  if (source.size < FOOTER_SIZE) return undefined;
  const end = Buffer.from(await source.read(source.size - FOOTER_SIZE, FOOTER_SIZE));
  const footer = parseFooter(end, source.size);
  if (footer === undefined) return undefined;
  const payloadOffset = source.size - footer.size;
  const index = await readIndex(source, payloadOffset, footer);
  const { form, containerOffset, launchers } = await readLaunchers(source, payloadOffset);
  return {
    form,
    id: payloadId(footer.indexDigest),
    containerOffset,
    launchers,
    payloadOffset,
    footer,
    index,
  };
}

async function readIndex(
  source: ByteSource,
  payloadOffset: number,
  footer: PayloadFooter,
): Promise<PayloadIndex> {
  const stored = await source.read(payloadOffset + footer.indexOffset, footer.indexStored);
  const raw = await unpackIndex(stored, footer.indexRaw).catch((cause: unknown) => {
    throw damaged('its index cannot be unpacked', payloadOffset + footer.indexOffset, cause);
  });
  const text = raw.toString('latin1');
  if (raw.length !== footer.indexRaw || indexDigest(text) !== footer.indexDigest) {
    throw damaged('its index is not the one that the footer names', payloadOffset);
  }
  return parseIndex(text, footer.indexOffset);
}

async function unpackIndex(stored: Uint8Array, rawSize: number): Promise<Buffer> {
  const frame: Buffer[] = [];
  for await (const bytes of singleZstdFrame(Readable.from([stored]))) frame.push(bytes);
  return promisify(zstdDecompress)(Buffer.concat(frame), {
    maxOutputLength: Math.max(1, rawSize),
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
}

async function readLaunchers(
  source: ByteSource,
  payloadOffset: number,
): Promise<Pick<UniversalFile, 'form' | 'containerOffset' | 'launchers'>> {
  const start = Buffer.from(await source.read(0, Math.min(4, source.size))).toString('latin1');
  if (start === '\x7fELF') {
    const identity = await readElfIdentity(partOf(source, 0, payloadOffset));
    const host = archOfElf(identity)?.name ?? 'unknown';
    return {
      form: 'single-host',
      containerOffset: undefined,
      launchers: [{ host, offset: 0, size: payloadOffset }],
    };
  }
  const form = start.startsWith('#!') ? 'universal' : 'fatelf';
  const containerOffset = form === 'universal' ? STAGE0_SIZE : 0;
  const container = await readFatElf(
    partOf(source, containerOffset, source.size - containerOffset),
  );
  return {
    form,
    containerOffset,
    launchers: container.records.map((record) => ({
      host: hostOf(record),
      offset: containerOffset + record.offset,
      size: record.size,
    })),
  };
}

function hostOf({ machine, elfClass, data }: FatElfRecord): string {
  const arch = archOfElf({
    machine,
    bits: elfClass === 1 ? 32 : 64,
    order: data === 1 ? 'lsb' : 'msb',
    flags: 0,
  });
  return arch?.name ?? `machine ${machine}`;
}

/**
 * The raw bytes of a blob, checked while they stream: size, digest, window.
 *
 * @throws UportError UPORT_PAYLOAD_INVALID
 */
export async function* readBlob(
  source: ByteSource,
  { payloadOffset }: UniversalFile,
  blob: PayloadBlob,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const at = payloadOffset + blob.offset;
  const decompressor = createZstdDecompress({
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
  const stored = streamSource(partOf(source, at, blob.stored), signal);
  const input = Readable.from(singleZstdFrame(stored));
  input.on('error', (error) => decompressor.destroy(error));
  const hash = createHash('sha256');
  let size = 0;
  try {
    const unpacked: AsyncIterable<Buffer> = input.pipe(decompressor);
    const chunks = blob.filter === undefined ? unpacked : undoBranchFilter(unpacked, blob.filter);
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > blob.raw) throw damaged('a blob unpacks to more than its index says', at);
      hash.update(chunk);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof UportError || signal.aborted) throw error;
    throw damaged('a blob cannot be unpacked', at, error);
  } finally {
    input.destroy();
    decompressor.destroy();
  }
  if (size !== blob.raw || sha256Digest(hash.digest('hex')) !== blob.digest) {
    throw damaged('a blob does not hold what its index says', at);
  }
}

function damaged(what: string, offset: number, cause?: unknown): UportError {
  return new UportError({
    code: 'UPORT_PAYLOAD_INVALID',
    category: 'input',
    message: `the file's payload is damaged: ${what}`,
    hint: 'get the file again, or build it again',
    offset,
    ...(cause !== undefined && { cause }),
  });
}
