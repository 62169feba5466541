// Artifacts of a whole root file system.
import { type BuildOptions, type BuildResult, build } from '../build.ts';
import { silentProgress } from '../model/progress.ts';
import { Store } from '../store/store.ts';
import type { TarLimits } from '../tar/tar-limits.ts';
import { loadRootfs } from './load-rootfs.ts';

export interface BuildRootfsOptions extends Omit<BuildOptions, 'app'> {
  /** How much a tar may hold. */
  readonly limits?: TarLimits;
}

/**
 * As `build`; the input is a folder, or a tar (plain, gzip, xz or zstd), whose top is `/`. The
 * entrypoint's program is an absolute path in it, or a name that is looked for in PATH.
 *
 * @throws UportError as `build` and `loadRootfs`
 */
export async function buildRootfs(options: BuildRootfsOptions): Promise<BuildResult> {
  const store = options.store ?? (await Store.open());
  const progress = options.progress ?? silentProgress;
  const signal = options.signal ?? new AbortController().signal;
  const searchPath = options.image?.env
    ?.findLast((each) => each.startsWith('PATH='))
    ?.slice('PATH='.length);
  const { app, dispose } = await loadRootfs(
    options.input,
    {
      program: options.entrypoint?.[0],
      ...(options.name !== undefined && { name: options.name }),
      ...(searchPath && { searchPath }),
      ...(options.limits && { limits: options.limits }),
    },
    { store, progress, signal, ...(options.warn && { warn: options.warn }) },
  );
  try {
    return await build({ ...options, app, store, progress, signal });
  } finally {
    await dispose();
  }
}
