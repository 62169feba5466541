import { type FileHandle, open } from 'node:fs/promises';
import type { ByteSource } from '@uport/elf';
import { UportError } from '@uport/errors';
import { type FatElfImage, glueFatElf } from '@uport/fatelf';
import { fileSource } from '../app/file-source.ts';
import type { EmitContext } from '../emitters/emitter.ts';
import { placeOf } from '../model/content.ts';
import type { Plan } from '../plan/plan.ts';
import type { WrittenPayload } from './write-payload.ts';

/** A host's launcher, opened. */
export interface OpenLauncher {
  readonly host: string;
  readonly source: ByteSource;
}

/**
 * Opens launchers and payload for as long as `use` runs.
 *
 * @param payload the trailing data of every form
 * @throws UportError UPORT_CONTENT_MISSING
 */
export async function withParts<T>(
  plan: Plan,
  payload: WrittenPayload,
  context: EmitContext,
  use: (launchers: readonly OpenLauncher[], payload: ByteSource) => Promise<T>,
): Promise<T> {
  const handles: FileHandle[] = [];
  const openSource = async (file: string | Buffer, size: number): Promise<ByteSource> => {
    const handle = await open(file, 'r');
    handles.push(handle);
    return fileSource(handle, size);
  };
  try {
    const launchers: OpenLauncher[] = [];
    for (const { host, launcher } of plan.hosts) {
      const file = launcher && context.content.locate(launcher.digest);
      if (launcher === undefined || file === undefined) {
        throw new UportError({
          code: 'UPORT_CONTENT_MISSING',
          category: 'input',
          message: `the launcher for ${host} is not at hand`,
          hint: 'install @uport/launcher again',
        });
      }
      launchers.push({ host, source: await openSource(placeOf(file).file, launcher.size) });
    }
    return await use(launchers, await openSource(payload.file, payload.size));
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** The FatELF container of all launchers, with the payload as its trailing data. */
export function glueContainer(
  launchers: readonly OpenLauncher[],
  payload: ByteSource,
): Promise<FatElfImage> {
  return glueFatElf(
    launchers.map(({ host, source }) => ({ source, name: `launcher for ${host}` })),
    { trailing: payload },
  );
}
