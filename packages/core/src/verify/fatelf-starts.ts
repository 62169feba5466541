// How each host starts a FatELF file of native builds, or a plain program on its own CPU.
import { chmod, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readFatElf } from '@uport/fatelf';
import { fileSource } from '../app/file-source.ts';
import { type Arch, archOfElf } from '../model/arch.ts';
import type { HostStart, HostStarts } from './host-start.ts';
import { fileOnKernel, placeOnKernel } from './kernel-file.ts';

/** @param host given for a plain program @throws UportError UPORT_FATELF_* */
export async function fatElfStarts(file: string, host?: Arch): Promise<HostStarts> {
  if (host !== undefined) return [startOf(host, file)];
  const handle = await open(file, 'r');
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    const { records } = await readFatElf(source);
    return records.flatMap((record): HostStart[] => {
      const arch = archOfElf({
        machine: record.machine,
        bits: record.elfClass === 1 ? 32 : 64,
        order: record.data === 1 ? 'lsb' : 'msb',
        flags: 0,
      });
      return arch === undefined ? [] : [startOf(arch, file, record)];
    });
  } finally {
    await handle.close();
  }
}

function startOf(host: Arch, file: string, record?: Part): HostStart {
  return {
    host,
    runs: 'native build',
    async prepare({ simulated, args, folder, env }) {
      const program =
        record === undefined ? path.resolve(file) : await extract(file, record, folder);
      const prefix = simulated.native ? [] : [simulated.launcher as string, '--'];
      return { argv: [...prefix, program, ...args], env };
    },
    async onKernel({ args, folder, env }) {
      const program = record === undefined ? file : await extract(file, record, folder);
      return fileOnKernel([program], [placeOnKernel(program)], args, env);
    },
  };
}

interface Part {
  readonly offset: number;
  readonly size: number;
}

/** The record's program, as a file of its own; answers its path. */
async function extract(file: string, { offset, size }: Part, folder: string): Promise<string> {
  const program = path.join(folder, path.basename(file));
  const handle = await open(file, 'r');
  try {
    const source = fileSource(handle, (await handle.stat()).size);
    await writeFile(program, await source.read(offset, size));
  } finally {
    await handle.close();
  }
  await chmod(program, 0o755);
  return program;
}
