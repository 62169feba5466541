// One Debian package, its files set aside and its control files in memory.
import { UportError } from '@uport/errors';
import { findMembers, unpackMember } from '../debian/deb.ts';
import type { FilePart } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import { byteReader } from '../tar/byte-reader.ts';
import { type SpooledMember, spoolTar } from '../tar/spool.ts';
import { TarMeter } from '../tar/tar-limits.ts';
import { readTar } from '../tar/tar-reader.ts';

export interface UnpackedDeb {
  /** Of `control.tar`, by name: `control`, `md5sums`, `postinst` and others. */
  readonly control: ReadonlyMap<string, ControlFile>;
  /** Of `data.tar`, in its order. */
  readonly members: readonly SpooledMember[];
}

export interface ControlFile {
  readonly bytes: Buffer;
  readonly mode: number;
  readonly mtime: number;
}

/** The largest real ones, md5sums of kernels and documentation, have a few MB. */
const CONTROL_MAX = 64 << 20;

/**
 * @param spool where the unpacked files go; nothing may be there
 * @param places where the bytes of each digest lie: added to
 * @throws UportError UPORT_DEB_INVALID, UPORT_AR_INVALID, UPORT_XZ_INVALID, UPORT_TAR_*
 */
export async function unpackDeb(
  debFile: string,
  spool: string,
  places: Map<Digest, FilePart>,
  signal: AbortSignal,
): Promise<UnpackedDeb> {
  try {
    const { control, data } = await findMembers(debFile);
    if (!control) {
      throw new UportError({
        code: 'UPORT_DEB_INVALID',
        category: 'input',
        message: 'it has no control.tar',
        hint: 'get the file again',
      });
    }
    const files = await readControl(unpackMember(debFile, control, signal));
    const members: SpooledMember[] = [];
    await spoolTar(unpackMember(debFile, data, signal), {
      file: spool,
      meter: new TarMeter(() => data.size),
      signal,
      places,
      hear: (member) => void members.push(member),
    });
    return { control: files, members };
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof UportError ? error.inFile(debFile) : error;
  }
}

async function readControl(bytes: AsyncIterable<Uint8Array>): Promise<Map<string, ControlFile>> {
  const files = new Map<string, ControlFile>();
  let size = 0;
  for await (const member of readTar(byteReader(bytes))) {
    if (member.type !== 'file') continue;
    const name = member.path.replace(/^\.?\/+/, '');
    if (!/^[a-z0-9][a-z0-9._+-]*$/i.test(name) || member.size > CONTROL_MAX - size) {
      throw new UportError({
        code: 'UPORT_DEB_INVALID',
        category: 'input',
        message: `its control.tar holds ${JSON.stringify(name.slice(0, 100))}, which is no control file`,
        hint: 'do not use this package',
      });
    }
    const parts: Buffer[] = [];
    for await (const part of member.body) parts.push(Buffer.from(part));
    size += member.size;
    files.set(name, { bytes: Buffer.concat(parts), mode: member.mode, mtime: member.mtime });
  }
  return files;
}
