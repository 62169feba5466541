// The places that apps are unpacked to, in the launcher's order, and whether programs run from them.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Place {
  readonly path: string;
  /** Why it does not serve. */
  readonly fault?: string;
}

/** As `list_places` of the launcher's cache.c has them. */
export function placesOf(env: Readonly<Record<string, string>>, uid: number): readonly string[] {
  const inside = (base: string | undefined, rest: string) => (base ? [`${base}${rest}`] : []);
  return [
    ...inside(env.UPORT_CACHE_DIR, ''),
    ...inside(env.XDG_CACHE_HOME, '/uport'),
    ...inside(env.HOME, '/.cache/uport'),
    ...inside(env.XDG_RUNTIME_DIR, '/uport'),
    `/var/tmp/uport-${uid}`,
    `/tmp/uport-${uid}`,
    `/dev/shm/uport-${uid}`,
  ];
}

/** Tries each by a program that is put there and started. Nothing is left behind. */
export async function tryPlaces(
  places: readonly string[],
  program: string,
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const tried: Place[] = [];
  for (const place of places) {
    signal.throwIfAborted();
    const fault = await tryPlace(place, program, signal);
    tried.push(fault === undefined ? { path: place } : { path: place, fault });
  }
  return tried;
}

async function tryPlace(
  place: string,
  program: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(path.join(await nearest(place), `.uport-doctor-${randomUUID()}`));
    const file = path.join(folder, 'launch');
    await copyFile(program, file);
    await run(file, ['--probe'], { signal });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error as NodeJS.ErrnoException;
    // A file that was just written with the x bit, and may not be started.
    if (code === 'EACCES' && folder !== undefined) return 'is mounted noexec';
    return `cannot be used (${code})`;
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** The folder itself, or the nearest one above it that is there: the launcher makes the rest. */
async function nearest(place: string): Promise<string> {
  for (let at = path.resolve(place); ; at = path.dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found !== undefined || at === '/') return at;
  }
}
