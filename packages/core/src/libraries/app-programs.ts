import { type Elf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { withWindows } from '../closure/file-windows.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';

/** The dynamic ELF files of an app that are of its guest's CPU. */
export interface AppElfs {
  /** With an interpreter; the target first. */
  readonly programs: readonly BytePath[];
  /** Libraries and plug-ins. */
  readonly libraries: readonly BytePath[];
  /** Of the target. */
  readonly target: Elf;
}

/** Reads the head of every file of the payload. @throws UportError UPORT_ELF_* for the target */
export async function findAppElfs(app: App): Promise<AppElfs> {
  const main = app.payload.entries.find((each) => each.path === app.target);
  const target = await readEntry(app, main);
  if (target === undefined) throw new TypeError(`${app.target} is not a file of the payload`);
  const programs: BytePath[] = [app.target];
  const libraries: BytePath[] = [];
  for (const entry of app.payload.entries) {
    if (entry.type !== 'file' || entry.path === app.target || entry.size < 52) continue;
    const elf = await readEntry(app, entry).catch((error: unknown) => {
      // A damaged file beside the program hinders nobody.
      if (error instanceof UportError) return undefined;
      throw error;
    });
    if (elf?.dynamic === undefined || !sameCpu(elf, target)) continue;
    if (elf.interpreter !== undefined && elf.linkage === 'dynamic') programs.push(entry.path);
    else if (elf.linkage === 'shared-object') libraries.push(entry.path);
  }
  return { programs, libraries, target };
}

function sameCpu(a: Elf, b: Elf): boolean {
  const [x, y] = [a.identity, b.identity];
  return x.machine === y.machine && x.bits === y.bits && x.order === y.order;
}

async function readEntry(app: App, entry: PayloadEntry | undefined): Promise<Elf | undefined> {
  const place = entry?.type === 'file' ? app.content.locate(entry.digest) : undefined;
  if (place === undefined) return undefined;
  return withWindows(place, async (source) => {
    const head = await source.read(0, 4);
    const isElf = head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
    return isElf ? readElf(source) : undefined;
  });
}
