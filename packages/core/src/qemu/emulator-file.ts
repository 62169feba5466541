import { type FileHandle, open } from 'node:fs/promises';
import { type Elf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { fileSource } from '../app/file-source.ts';
import { type Arch, archOfElf } from '../model/arch.ts';

/** What QEMU prints for `-version` stands in the file as it is printed. */
const BANNER = /qemu-([a-z0-9_]{1,32}) version ([0-9]+(?:\.[0-9]+){1,3}(?:-rc[0-9]+)?)/;
const WORD = Buffer.from(' version ');
/** No banner is longer than half of it. */
const OVERLAP = 256;
const CHUNK = 1 << 18;
/** Static builds are 5 to 20 MB; with debug information ten times that. */
const MAX_EMULATOR = 1 << 30;

export interface EmulatorFile {
  /** The CPU it runs on; undefined for one that QEMU does not know. */
  readonly host: Arch | undefined;
  readonly linkage: Elf['linkage'];
  /** The guest's name and QEMU's version, as the program itself says; undefined for another program. */
  readonly banner: QemuBanner | undefined;
}

export interface QemuBanner {
  readonly guest: string;
  readonly version: string;
}

/**
 * Reads out of an emulator what it is, without running it.
 *
 * @throws UportError UPORT_ELF_* when it is no ELF program
 */
export async function readEmulatorFile(file: string): Promise<EmulatorFile> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const elf = await readElf(fileSource(handle, size));
    return {
      host: archOfElf(elf.identity),
      linkage: elf.linkage,
      banner: size > MAX_EMULATOR ? undefined : await findBanner(readPieces(handle)),
    };
  } finally {
    await handle.close();
  }
}

async function* readPieces(handle: FileHandle): AsyncGenerator<Buffer> {
  const room = Buffer.allocUnsafeSlow(CHUNK);
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(room, 0, CHUNK, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield room.subarray(0, bytesRead);
  }
}

/** Searches an emulator's bytes for what it says of itself. */
export async function findBanner(chunks: AsyncIterable<Buffer>): Promise<QemuBanner | undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const seam = Buffer.concat([rest, chunk.subarray(0, OVERLAP)]);
    const found = searchBanner(seam) ?? searchBanner(chunk);
    if (found) return found;
    rest = Buffer.concat([rest, chunk.subarray(-OVERLAP)]).subarray(-OVERLAP);
  }
  return undefined;
}

/** Only what stands around the word is made a string. */
function searchBanner(bytes: Buffer): QemuBanner | undefined {
  for (let at = bytes.indexOf(WORD); at !== -1; at = bytes.indexOf(WORD, at + WORD.length)) {
    const text = bytes.toString('latin1', Math.max(0, at - OVERLAP / 2), at + OVERLAP / 2);
    const found = BANNER.exec(text);
    // One at the very end may go on in the next chunk.
    if (found && found.index + found[0].length < text.length) {
      return { guest: found[1] as string, version: found[2] as string };
    }
  }
  return undefined;
}

/**
 * Refuses what is no static emulator of that guest for that host.
 *
 * @param where the file's name, for the message
 * @throws UportError UPORT_EMULATOR_NOT_STATIC, UPORT_EMULATOR_WRONG
 */
export function checkEmulator(
  emulator: EmulatorFile,
  guest: Arch,
  host: Arch,
  where: string,
): QemuBanner {
  if (emulator.host !== host) {
    throw wrongEmulator(
      where,
      `it runs on ${emulator.host?.name ?? 'another CPU'}, not on ${host.name}`,
    );
  }
  if (emulator.linkage !== 'static' && emulator.linkage !== 'static-pie') {
    throw new UportError({
      code: 'UPORT_EMULATOR_NOT_STATIC',
      category: 'input',
      message: `the emulator is ${emulator.linkage}: it would need libraries of the machine it runs on`,
      hint: 'take a static build of QEMU user mode (configure --static)',
      file: where,
    });
  }
  if (emulator.banner?.guest !== guest.name) {
    const what = emulator.banner ? `qemu-${emulator.banner.guest}` : 'no QEMU user mode program';
    throw wrongEmulator(where, `it is ${what}, not qemu-${guest.name}`);
  }
  return emulator.banner;
}

/** An error for a file that is not the emulator it should be. */
export function wrongEmulator(file: string, what: string): UportError {
  return new UportError({
    code: 'UPORT_EMULATOR_WRONG',
    category: 'input',
    message: `not the emulator that its name promises: ${what}`,
    hint: 'take the file away, or name another source of emulators',
    file,
  });
}

/** Compares QEMU versions: negative when `a` is older. A release candidate comes before its release. */
export function compareQemuVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Four numbers, then the candidate's, which is endless for a release. */
function numbers(version: string): readonly number[] {
  const [release = '', candidate] = version.split('-rc');
  const parts = release.split('.').map((part) => Number.parseInt(part, 10) || 0);
  while (parts.length < 4) parts.push(0);
  return [...parts, candidate === undefined ? Number.MAX_SAFE_INTEGER : Number(candidate)];
}
