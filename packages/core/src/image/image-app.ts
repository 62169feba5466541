// The content of an existing image as an app, for emitters that make something else of it.

import { open } from 'node:fs/promises';
import { partOf, readElf } from '@uport/elf';
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import { fileSource } from '../app/file-source.ts';
import { archOfElf } from '../model/arch.ts';
import { displayBytes } from '../model/byte-path.ts';
import { type ContentSource, placeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type { ImageSettings } from '../plan/plan.ts';
import { locateProgram } from '../plan/shims.ts';
import { imageFault } from './faults.ts';
import { type FlattenOptions, flattenImage } from './flatten.ts';
import { readConfig, type SourceImage, type SourcePlatform } from './read-image.ts';

export interface ImageApp {
  readonly app: App;
  /** Arguments that follow the program. */
  readonly firstArguments: readonly string[];
  readonly settings: Partial<Omit<ImageSettings, 'entrypoint'>>;
  /** Removes the contents. */
  close(): Promise<void>;
}

/**
 * Reads all layers of a platform and finds what starts: through PATH, links and the first lines of
 * scripts.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_SHIM_*, UPORT_ELF_*
 */
export async function imageApp(
  image: SourceImage,
  platform: SourcePlatform,
  name: string,
  entrypoint: readonly string[] | undefined,
  options: Omit<FlattenOptions, 'keep'>,
): Promise<ImageApp> {
  const { source } = image;
  const { runtime } = await readConfig(source, platform.manifest);
  const words = entrypoint ?? (runtime.entrypoint.length > 0 ? runtime.entrypoint : runtime.cmd);
  const [program, ...firstArguments] = words;
  if (program === undefined) {
    throw imageFault(
      'UPORT_IMAGE_ENTRYPOINT',
      source.name,
      'the image does not say what starts',
      'name it with --entrypoint',
    );
  }
  const flat = await flattenImage(source, platform, { ...options, keep: 'all' });
  try {
    const head = async (file: Digest) => flat.heads.get(file);
    const inputs = { entries: flat.entries, head, env: runtime.env, workdir: runtime.workdir };
    const found = await locateProgram(program, inputs);
    if (found === undefined) {
      throw imageFault(
        'UPORT_IMAGE_ENTRYPOINT',
        source.name,
        `the image has no program ${JSON.stringify(program.slice(0, 200))}`,
        'name one that is there with --entrypoint',
      );
    }
    const elf = await readProgramOf(flat.content, found.digest, found.target);
    const guest = archOfElf(elf.identity);
    if (guest === undefined || !isProgram(elf.linkage)) {
      throw imageFault(
        'UPORT_IMAGE_ENTRYPOINT',
        source.name,
        `${displayBytes(found.target)} is no program that QEMU can run`,
        'name another with --entrypoint',
      );
    }
    const app: App = {
      name,
      guest,
      linkage: elf.linkage,
      interpreter: elf.interpreter,
      wholeFolder: true,
      program: found.program,
      target: found.target,
      payload: { entries: flat.entries },
      content: flat.content,
      fatElfs: new Set(),
    };
    const cmd = entrypoint === undefined && runtime.entrypoint.length > 0 ? runtime.cmd : [];
    return {
      app,
      firstArguments,
      settings: {
        cmd,
        env: runtime.env,
        ...(runtime.workdir !== '' && { workdir: runtime.workdir }),
      },
      close: flat.close,
    };
  } catch (error) {
    await flat.close();
    throw error;
  }
}

function isProgram(linkage: string): linkage is App['linkage'] {
  return linkage === 'static' || linkage === 'static-pie' || linkage === 'dynamic';
}

async function readProgramOf(content: ContentSource, digest: Digest, shown: BytePath) {
  const place = content.locate(digest);
  if (place === undefined) throw new TypeError(`${shown} was not kept`);
  const { file, offset, size } = placeOf(place);
  const handle = await open(file, 'r');
  try {
    const all = (await handle.stat()).size;
    return await readElf(partOf(fileSource(handle, all), offset, size ?? all));
  } catch (error) {
    throw error instanceof UportError ? error.inFile(displayBytes(shown)) : error;
  } finally {
    await handle.close();
  }
}
