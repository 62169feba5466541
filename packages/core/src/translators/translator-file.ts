// What a translator's program says of itself, read out of its bytes.
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import { isFileName } from '@uport/launcher';
import { fileSource } from '../app/file-source.ts';
import { type Arch, archOfElf } from '../model/arch.ts';
import type { PinnedTranslator, TranslatorFile } from '../plan/plan.ts';
import { wrongEmulator } from '../qemu/emulator-file.ts';
import type { ProviderContext } from '../qemu/provider.ts';
import { x86Probe } from './probe.ts';
import type { TranslatorRule } from './rules.ts';

/** Libraries of glibc and GCC that box64 gives its programs in place of their own, or needs itself. */
export const HOST_LIBRARIES: readonly string[] = Object.freeze([
  'libc.so.6',
  'libdl.so.2',
  'libgcc_s.so.1',
  'libm.so.6',
  'libpthread.so.0',
  'libresolv.so.2',
  'librt.so.1',
  'libutil.so.1',
]);

/** The program that the launcher tries it with. */
const PROBE = 'probe';

export interface TranslatorProgram {
  /** Undefined when it says none. */
  readonly version: string | undefined;
  /** The name of its ELF interpreter's file. */
  readonly loader: string;
  /** Names of the libraries without which it does not start. */
  readonly needed: readonly string[];
}

/**
 * Reads a translator's program; nothing is run.
 *
 * @param where the file's name, for messages
 * @throws UportError UPORT_EMULATOR_WRONG, UPORT_ELF_*
 */
export async function readTranslatorProgram(
  file: string,
  rule: TranslatorRule,
  host: Arch,
  where: string,
): Promise<TranslatorProgram> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const elf = await readElf(fileSource(handle, size)).catch((error: unknown) => {
      throw error instanceof UportError ? error.inFile(where) : error;
    });
    const arch = archOfElf(elf.identity);
    if (arch !== host) {
      throw wrongEmulator(where, `it runs on ${arch?.name ?? 'another CPU'}, not on ${host.name}`);
    }
    const loader = elf.interpreter?.split('/').at(-1);
    if (!loader) {
      throw wrongEmulator(where, 'it is static, and names no loader to be started with');
    }
    const { needed = [] } = elf.dynamic ?? {};
    const strange = needed.find((name) => !isFileName(name));
    if (strange !== undefined) throw wrongEmulator(where, `it needs ${JSON.stringify(strange)}`);
    const bytes = await handle.read(Buffer.alloc(Math.min(size, MAX_PROGRAM)), 0);
    const said = bytes.buffer
      .toString('latin1')
      .match(/\bBox64 (?:[a-z0-9]+ )?v(\d+(?:\.\d+){1,3})\b/);
    if (rule.kind === 'box64' && !said) throw wrongEmulator(where, 'it does not call itself box64');
    return { version: said?.[1], loader, needed };
  } finally {
    await handle.close();
  }
}

const MAX_PROGRAM = 256 << 20;

/**
 * The translator of these files, its probe put into the store.
 *
 * @throws UportError UPORT_EMULATOR_INCOMPLETE when what its program needs is not among them
 */
export async function pinTranslator(
  found: Pick<PinnedTranslator, 'packages'> & {
    readonly rule: TranslatorRule;
    readonly host: Arch;
    readonly program: TranslatorProgram;
    readonly files: readonly TranslatorFile[];
  },
  { store, signal }: ProviderContext,
): Promise<PinnedTranslator> {
  const { rule, host, program, packages } = found;
  const names = new Set(found.files.map(({ name }) => name));
  const lacking = [program.loader, ...program.needed].filter((name) => !names.has(name));
  if (lacking.length > 0) {
    throw new UportError({
      code: 'UPORT_EMULATOR_INCOMPLETE',
      category: 'input',
      message: `${rule.kind} for ${host.name} needs ${lacking.join(', ')}, which were not found with it`,
      hint: 'put its loader and its libraries into the same folder, or take it from Debian',
    });
  }
  const probe = await store.put(Readable.from([x86Probe()]), { signal });
  const files = [...found.files, { name: PROBE, digest: probe.digest, size: probe.size }];
  return {
    kind: rule.kind,
    host: host.name,
    guest: rule.guest,
    version: program.version ?? 'unknown',
    loader: program.loader,
    files: files.sort((a, b) => (a.name < b.name ? -1 : 1)),
    packages,
  };
}
