import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ByteSource } from '@uport/elf';
import { UportError } from '@uport/errors';
import { changed, fatElfError } from './errors.ts';
import { type ExtractOptions, extractFatElf } from './extract.ts';
import { glueFatElf } from './glue.ts';
import { type FatElfInfo, infoFatElf } from './info.ts';
import { removeFatElf } from './remove.ts';
import { replaceFatElf } from './replace.ts';
import { splitFatElf } from './split.ts';
import type { ByteStream } from './stream.ts';
import { validateFatElf } from './validate.ts';
import { verifyFatElf } from './verify.ts';

export interface WriteOptions {
  readonly signal?: AbortSignal;
  /**
   * Permission bits before the umask; 0o755 by default, since programs are written. A file that was
   * there keeps its own.
   */
  readonly mode?: number;
}

export interface GlueFileOptions extends WriteOptions {
  /** A file whose bytes follow the last ELF. */
  readonly trailing?: string;
}

/**
 * Opens a regular file for as long as `use` runs.
 *
 * @throws UportError UPORT_FATELF_NOT_FILE, and what `use` throws with the file named; system
 *   errors come as Node gives them
 */
export async function withFile<T>(
  file: string,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  return withOpened(file, async (source) => {
    try {
      return await use(source);
    } catch (error) {
      throw error instanceof UportError && error.file === undefined ? error.inFile(file) : error;
    }
  });
}

async function withOpened<T>(file: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  // Looked at before opening: a FIFO would block.
  if (!(await stat(file)).isFile()) {
    throw fatElfError('NOT_FILE', 'it is not a regular file', 'name a file', { file });
  }
  const handle = await open(file);
  try {
    return await use(handleSource(handle, (await handle.stat()).size, file));
  } finally {
    await handle.close();
  }
}

function handleSource(handle: FileHandle, size: number, file: string): ByteSource {
  return {
    size,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let filled = 0; filled < length; ) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw changed(offset, { file });
        filled += bytesRead;
      }
      return bytes;
    },
  };
}

/** A file to be written. */
export interface FileOutput {
  readonly file: string;
  readonly stream: ByteStream;
}

/**
 * Writes streams to files: all under temporary names beside them, then each renamed, so a file is
 * whole or was never there. They may replace files that the streams read from. Symbolic links are
 * followed.
 *
 * @throws UportError UPORT_FATELF_NOT_FILE when something else than a file is in the way; system
 *   errors as Node gives them, with the output as their path
 */
export async function writeStreams(
  outputs: readonly FileOutput[],
  { signal, mode = 0o755 }: WriteOptions = {},
): Promise<void> {
  const places: Place[] = [];
  for (const { file } of outputs) places.push(await placeOf(file));
  const staged: string[] = [];
  try {
    for (const [index, { file, stream }] of outputs.entries()) {
      const place = places[index] as Place;
      const temporary = path.join(path.dirname(place.file), `.${randomUUID()}.tmp`);
      await naming(file, async () => {
        const handle = await open(temporary, 'wx', place.mode ?? mode);
        staged.push(temporary);
        try {
          if (place.mode !== undefined) await handle.chmod(place.mode);
          for await (const chunk of stream.chunks(signal)) await writeAll(handle, chunk);
        } finally {
          await handle.close();
        }
      });
    }
    signal?.throwIfAborted();
    for (const [index, { file }] of outputs.entries()) {
      await naming(file, () => rename(staged[index] as string, (places[index] as Place).file));
    }
  } catch (error) {
    for (const temporary of staged) await rm(temporary, { force: true });
    throw error;
  }
}

interface Place {
  readonly file: string;
  /** Permission bits of the file that is there. */
  readonly mode?: number;
}

/** Where an output goes. A rename would take the place of a device or FIFO, as root even of /dev/null. */
async function placeOf(file: string): Promise<Place> {
  const status = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!status) return { file };
  if (!status.isFile()) {
    throw fatElfError('NOT_FILE', 'it is in the way and is no regular file', 'use another path', {
      file,
      category: 'environment',
    });
  }
  return { file: await realpath(file), mode: status.mode & 0o777 };
}

/** Names the output in failed system calls: nobody asked for the temporary file. */
async function naming(file: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException;
    if (syscall !== undefined && syscall !== 'read') Object.assign(error as Error, { path: file });
    throw error;
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done)).bytesWritten;
  }
}

/** `glueFatElf` on files. */
export async function glueFiles(
  output: string,
  inputs: readonly string[],
  { trailing, ...options }: GlueFileOptions = {},
): Promise<void> {
  await withFiles(inputs, async (sources) => {
    const named = sources.map((source, index) => ({ source, name: inputs[index] as string }));
    if (trailing === undefined) {
      await writeStreams([{ file: output, stream: await glueFatElf(named) }], options);
      return;
    }
    await withOpened(trailing, async (source) => {
      const stream = await glueFatElf(named, { trailing: source });
      await writeStreams([{ file: output, stream }], options);
    });
  });
}

async function withFiles<T>(
  files: readonly string[],
  use: (sources: readonly ByteSource[]) => Promise<T>,
  opened: readonly ByteSource[] = [],
): Promise<T> {
  const [first, ...others] = files;
  if (first === undefined) return use(opened);
  return withOpened(first, (source) => withFiles(others, use, [...opened, source]));
}

/** `infoFatElf` on a file. */
export async function infoFile(file: string): Promise<FatElfInfo> {
  return withFile(file, infoFatElf);
}

/** `extractFatElf` on files. */
export async function extractFile(
  output: string,
  file: string,
  target: string,
  options: WriteOptions & ExtractOptions = {},
): Promise<void> {
  await withFile(file, async (source) => {
    const stream = await extractFatElf(source, target, options);
    await writeStreams([{ file: output, stream }], options);
  });
}

/** `removeFatElf` on files; the output may be the input. */
export async function removeFile(
  output: string,
  file: string,
  target: string,
  options: WriteOptions = {},
): Promise<void> {
  await withFile(file, async (source) => {
    const stream = await removeFatElf(source, target);
    await writeStreams([{ file: output, stream }], options);
  });
}

/** `replaceFatElf` on files; the output may be one of the inputs. */
export async function replaceFile(
  output: string,
  file: string,
  program: string,
  options: WriteOptions = {},
): Promise<void> {
  await withFile(file, (source) =>
    withOpened(program, async (programSource) => {
      const stream = await replaceFatElf(source, { source: programSource, name: program });
      await writeStreams([{ file: output, stream }], options);
    }),
  );
}

/**
 * `splitFatElf` on a file: writes `<file>-<target>` for each program.
 *
 * @returns the files written, in the order of the records
 */
export async function splitFile(
  file: string,
  options: WriteOptions & ExtractOptions = {},
): Promise<readonly string[]> {
  return withFile(file, async (source) => {
    const parts = await splitFatElf(source, options);
    const outputs = parts.map(({ target, stream }) => ({ file: `${file}-${target}`, stream }));
    await writeStreams(outputs, options);
    return outputs.map((output) => output.file);
  });
}

/** `verifyFatElf` on a file. */
export async function verifyFile(file: string, target: string): Promise<boolean> {
  return withFile(file, (source) => verifyFatElf(source, target));
}

/** `validateFatElf` on a file, the file named in each fault. */
export async function validateFile(
  file: string,
  signal?: AbortSignal,
): Promise<readonly UportError[]> {
  const faults = await withFile(file, (source) => validateFatElf(source, signal));
  return faults.map((fault) => fault.inFile(file));
}
