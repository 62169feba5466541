import { open } from 'node:fs/promises';
import { fileSource } from '../app/file-source.ts';
import { displayBytes } from '../model/byte-path.ts';
import { findBanner } from '../qemu/emulator-file.ts';
import { noticeOf } from '../universal/notice-nodes.ts';
import { readBlob, readUniversal, type UniversalFile } from '../universal/read-universal.ts';

export interface UniversalDescription {
  readonly form: UniversalFile['form'];
  readonly id: string;
  readonly size: number;
  readonly app: string;
  readonly programs: readonly { readonly name: string; readonly path: string }[];
  readonly files: number;
  /** Where in the tree licences and source of launchers and emulators are told. */
  readonly notice: string | undefined;
  /** Bytes of all files of the app: as they are, and as they are stored. */
  readonly tree: { readonly raw: number; readonly stored: number; readonly digest: string };
  readonly hosts: readonly HostDescription[];
}

export interface HostDescription {
  readonly host: string;
  readonly launcher: { readonly size: number; readonly digest: string };
  readonly emulators: readonly (PartDescription & {
    readonly guest: string;
    /** What the emulator itself says, such as `11.1.2`. */
    readonly version: string | undefined;
  })[];
  /** An emulator other than QEMU that is tried before it: all of its files. */
  readonly translator?: {
    readonly name: string;
    readonly guest: string;
    readonly files: readonly (PartDescription & { readonly name: string })[];
  };
  readonly slices: readonly (PartDescription & { readonly path: string })[];
}

interface PartDescription {
  readonly raw: number;
  readonly stored: number;
  readonly digest: string;
}

/**
 * What is in a universal, FatELF or single-host file; undefined for a file without a payload.
 *
 * @throws UportError UPORT_PAYLOAD_INVALID, UPORT_FATELF_*
 */
export async function describeUniversal(
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<UniversalDescription | undefined> {
  const signal = options.signal ?? new AbortController().signal;
  const handle = await open(file, 'r');
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    const universal = await readUniversal(source);
    if (universal === undefined) return undefined;
    const { index, form, id } = universal;
    const part = (number: number): PartDescription => {
      const { raw, stored, digest } = blobAt(universal, number);
      return { raw, stored, digest };
    };
    const present = new Set(universal.launchers.map(({ host }) => host));
    const hosts: HostDescription[] = [];
    for (const host of index.hosts) {
      if (!present.has(host.name)) continue;
      const emulators = [];
      for (const { guest, blob } of host.emulators) {
        const bytes = readBlob(source, universal, blobAt(universal, blob), signal);
        const version = (await findBanner(bytes))?.version;
        emulators.push({ guest, version, ...part(blob) });
      }
      hosts.push({
        host: host.name,
        launcher: host.launcher,
        emulators,
        ...(host.translator && {
          translator: {
            name: host.translator.name,
            guest: host.translator.guest,
            files: host.translator.parts.map(({ blob, name }) => ({
              name: displayBytes(name),
              ...part(blob),
            })),
          },
        }),
        slices: host.slices.map(({ blob, path }) => ({ path: displayBytes(path), ...part(blob) })),
      });
    }
    return {
      form,
      id,
      size: source.size,
      app: displayBytes(index.app),
      programs: index.programs.map(({ name, path }) => ({
        name: displayBytes(name),
        path: displayBytes(path),
      })),
      files: index.nodes.filter((node) => node.type === 'file').length,
      notice: noticeOf(index.nodes),
      tree: part(index.tree),
      hosts,
    };
  } finally {
    await handle.close();
  }
}

function blobAt({ index }: UniversalFile, number: number): UniversalFile['index']['blobs'][number] {
  const blob = index.blobs[number];
  if (blob === undefined) throw new RangeError(`there is no blob ${number}`);
  return blob;
}
