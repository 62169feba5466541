import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type ByteSource, partOf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { validateFatElf } from '@uport/fatelf';
import { fileSource } from '../app/file-source.ts';
import { sha256Digest } from '../model/digest.ts';
import { streamSource } from './byte-streams.ts';
import { readBlob, readUniversal, type UniversalFile } from './read-universal.ts';
import { STAGE0_SIZE, stage0 } from './stage0.ts';

/** One thing that is wrong with a universal file. */
export interface UniversalFault {
  readonly code: `UPORT_${string}`;
  readonly where: string;
  readonly message: string;
}

/**
 * All faults of a universal, FatELF or single-host file that uport made: script, container, launchers
 * against their digests, every blob unpacked.
 */
export async function validateUniversal(
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly UniversalFault[]> {
  const signal = options.signal ?? new AbortController().signal;
  const handle = await open(file, 'r');
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    return await faultsOf(source, signal);
  } finally {
    await handle.close();
  }
}

async function faultsOf(
  source: ByteSource,
  signal: AbortSignal,
): Promise<readonly UniversalFault[]> {
  let file: UniversalFile | undefined;
  try {
    file = await readUniversal(source);
  } catch (error) {
    return [asFault(error, 'the file')];
  }
  if (file === undefined) {
    const message = 'it has no payload at its end';
    return [{ code: 'UPORT_PAYLOAD_INVALID', where: 'the file', message }];
  }
  const faults: UniversalFault[] = [];
  if (file.containerOffset !== undefined) {
    const part = partOf(source, file.containerOffset, source.size - file.containerOffset);
    for (const error of await validateFatElf(part, signal)) {
      faults.push(asFault(error, 'the FatELF container'));
    }
  }
  if (file.form === 'universal') faults.push(...(await scriptFaults(source, file)));
  faults.push(...(await launcherFaults(source, file, signal)));
  for (const [number, blob] of file.index.blobs.entries()) {
    try {
      for await (const _ of readBlob(source, file, blob, signal)) signal.throwIfAborted();
    } catch (error) {
      signal.throwIfAborted();
      faults.push(asFault(error, `blob ${number}`));
    }
  }
  return faults;
}

/** The script must be the one that belongs to the container: it says where each launcher lies. */
async function scriptFaults(
  source: ByteSource,
  file: UniversalFile,
): Promise<readonly UniversalFault[]> {
  const found = Buffer.from(await source.read(0, STAGE0_SIZE));
  if (found.equals(stage0(file.id, file.launchers))) return [];
  return [
    {
      code: 'UPORT_STAGE0_WRONG',
      where: 'the script',
      message: 'it is not the script that this uport writes for these launchers',
    },
  ];
}

async function launcherFaults(
  source: ByteSource,
  file: UniversalFile,
  signal: AbortSignal,
): Promise<readonly UniversalFault[]> {
  const faults: UniversalFault[] = [];
  const named = new Map(file.index.hosts.map((host) => [host.name, host.launcher]));
  for (const { host, offset, size } of file.launchers) {
    const launcher = named.get(host);
    const hash = createHash('sha256');
    for await (const piece of streamSource(partOf(source, offset, size), signal))
      hash.update(piece);
    const digest = sha256Digest(hash.digest('hex'));
    if (launcher === undefined) {
      faults.push(launcherFault(host, 'the index does not name this host'));
    } else if (launcher.size !== size || launcher.digest !== digest) {
      faults.push(launcherFault(host, `the index names ${launcher.digest}, it is ${digest}`));
    }
    named.delete(host);
  }
  if (file.form !== 'single-host') {
    for (const host of named.keys()) faults.push(launcherFault(host, 'there is no record for it'));
  }
  return faults;
}

function launcherFault(host: string, message: string): UniversalFault {
  return { code: 'UPORT_LAUNCHER_WRONG', where: `the launcher for ${host}`, message };
}

function asFault(error: unknown, where: string): UniversalFault {
  if (!(error instanceof UportError)) throw error;
  return {
    code: error.code,
    where: [where, error.where].filter(Boolean).join(', '),
    message: error.message,
  };
}
