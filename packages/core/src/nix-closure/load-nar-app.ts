// A NAR as the app: what `nix-store --dump` writes, or a binary cache keeps.
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { APP_FOLDER, appOfScan } from '../app/load-app.ts';
import { displayBytes, parseBytePath } from '../model/byte-path.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import { readNar } from '../nix/nar-reader.ts';
import { NAR_MAGIC } from '../nix/nar-wire.ts';
import { systemError } from '../system-error.ts';
import { type TarLimits, TarMeter } from '../tar/tar-limits.ts';
import { packingOf, unpackStream } from '../tar/unpack-stream.ts';
import { scanOfEntries } from './canonical-scan.ts';
import { binPrograms, chooseProgram, programsHint } from './choose-program.ts';
import type { LoadNixContext } from './load-nix-app.ts';
import { packageName } from './nix-input.ts';
import type { ClosureContext } from './nix-store.ts';
import { placeEntries, storeNarFiles } from './store-nar.ts';

export interface LoadNarOptions {
  /** What starts: a path inside the archive. */
  readonly program?: string;
  readonly name?: string;
  /** How much a compressed one may unpack to. */
  readonly limits?: TarLimits;
}

const NAMED = /\.nar(?:\.(?:xz|zst|gz))?$/i;

/**
 * Reads a NAR, also under xz, zstd or gzip, as an app whose payload has it as its folder, or as its
 * one program. Undefined for a file that is neither named as one nor begins as one.
 *
 * @throws UportError UPORT_NAR_INVALID, UPORT_NAR_TOO_LARGE, UPORT_ENTRYPOINT_*, UPORT_ELF_*,
 *   UPORT_GUEST_*, and those of the compression
 */
export async function loadNarApp(
  input: string,
  options: LoadNarOptions,
  { store, progress, signal }: LoadNixContext,
): Promise<App | undefined> {
  if (!(await isNar(input))) return undefined;
  const { size } = await stat(input);
  const task = progress.start(`Reading ${path.basename(input)}`, undefined, 'bytes');
  try {
    const context: ClosureContext = { store, task, signal };
    const nar = readNar(await unpacked(input, size, options.limits, signal), { signal });
    const { entries, files } = await storeNarFiles(nar, context);
    const stem = path.basename(input).replace(NAMED, '');
    const isFile = entries[0]?.type === 'file';
    const name = options.name ?? packageName(stem);
    const top = isFile
      ? parseBytePath(`${APP_FOLDER}/${Buffer.from(name).toString('latin1')}`)
      : APP_FOLDER;
    const placed = placeEntries(top, entries).map(
      // One program must be executable, as one that is given as a file.
      (entry): PayloadEntry => (isFile ? { ...entry, mode: 0o755 } : entry),
    );
    const above: PayloadEntry = { type: 'directory', path: APP_FOLDER, mode: 0o755 };
    const scan = scanOfEntries(isFile ? [above, ...placed] : placed, files);
    const asked = isFile ? undefined : options.program?.replace(/^\/app\//, '');
    const program = chooseProgram(scan, { top, main: packageName(stem), asked, shown: input });
    const app = await appOfScan(name, program, scan, input);
    if (app !== undefined) return { ...app, wholeFolder: !isFile };
    throw new UportError({
      code: 'UPORT_ENTRYPOINT_NOT_FOUND',
      category: 'input',
      message: `the archive has no program ${displayBytes(program.slice(APP_FOLDER.length + 1))}`,
      hint: programsHint(binPrograms(scan, top)),
      file: input,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof UportError ? error.inFile(input) : systemError(error, input);
  } finally {
    task.done();
  }
}

async function isNar(input: string): Promise<boolean> {
  const status = await stat(input).catch(() => undefined);
  if (!status?.isFile()) return false;
  if (NAMED.test(input)) return true;
  const handle = await open(input, 'r').catch(() => undefined);
  try {
    // A length of 64 bits, little-endian, and the word.
    const head = Buffer.alloc(8 + NAR_MAGIC.length);
    await handle?.read(head, 0, head.length, 0);
    return head.readBigUInt64LE() === 13n && head.toString('latin1', 8) === NAR_MAGIC;
  } finally {
    await handle?.close();
  }
}

async function unpacked(
  file: string,
  size: number,
  limits: TarLimits | undefined,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  let packed = 0;
  const count = (bytes: number) => {
    packed += bytes;
  };
  const packing = await packingOf(file);
  const chunks = unpackStream(file, packing, { start: 0, end: size }, signal, count);
  const meter = new TarMeter(() => packed, limits, tooLarge);
  return (async function* () {
    for await (const chunk of chunks) {
      meter.add(chunk.length);
      // A chunk holds its bytes only for now; the archive's reader keeps some of them.
      yield packing === 'none' ? chunk : Buffer.from(chunk);
    }
  })();
}

function tooLarge(message: string): UportError {
  return new UportError({
    code: 'UPORT_NAR_TOO_LARGE',
    category: 'input',
    message,
    hint: 'unpack it yourself if you trust it, and give the folder',
  });
}
