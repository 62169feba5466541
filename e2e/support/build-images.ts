import path from 'node:path';
import { emulatorFolder, fixture, missingToolchains } from '@uport/testkit';
import type { TestProject } from 'vitest/node';
import { GUESTS } from './guests.ts';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';
import { type Finished, uport } from './uport.ts';

/** An image of the `probe` fixture, built once for all test files. */
export interface BuiltImage {
  readonly toolchain: string;
  readonly guest: string;
  /** The program that was the input. */
  readonly program: string;
  /** The folder that `uport build` wrote to. */
  readonly outDir: string;
  /** How `uport build` ended. */
  readonly finished: Finished;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The images of those guests that there is a compiler for. */
    images: readonly BuiltImage[];
    /** For `--emulators`. */
    emulators: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await temporaryFolder();
  const remove = () => removeFolder(folder);
  try {
    const guests = GUESTS.map(({ guest }) => guest);
    const emulators = `dir:${await emulatorFolder(guests, AbortSignal.timeout(600_000))}`;
    const queue = GUESTS.filter(({ toolchain }) => !missingToolchains(toolchain));
    const images: BuiltImage[] = [];
    const work = async () => {
      for (let each = queue.shift(); each; each = queue.shift()) {
        const program = await fixture('probe', each.toolchain);
        const outDir = path.join(folder, each.guest);
        const flags = ['--emit', 'oci', '-o', outDir, '--emulators', emulators];
        const finished = await uport(['build', program, ...flags]);
        images.push({ ...each, program, outDir, finished });
      }
    };
    await Promise.all([work(), work()]);
    project.provide('images', images);
    project.provide('emulators', emulators);
    return remove;
  } catch (error) {
    await remove();
    throw error;
  }
}
