// An existing image as the app of a configuration: decided first, written later.
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type EmitOptions, emitPlan, type PlannedApp } from '../build.ts';
import type { Artifact, EmitRequest } from '../emitters/emitter.ts';
import { makeFolder, removeMadeFolders } from '../make-folder.ts';
import type { Arch } from '../model/arch.ts';
import type { Digest } from '../model/digest.ts';
import type { Progress } from '../model/progress.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import type { PushResult } from '../registry/push.ts';
import { parseReference } from '../registry/reference.ts';
import type { Store } from '../store/store.ts';
import { systemError } from '../system-error.ts';
import { planFromImage } from './build-from-image.ts';
import { type ExtendedImage, extendImage } from './extend-image.ts';
import type { ImageInput } from './image-input.ts';
import { openImage } from './open-image.ts';
import { readSourceImage } from './read-image.ts';
import { pushImage, writeImageLayout } from './write-image.ts';

export interface PlanImageOptions {
  readonly input: ImageInput;
  readonly name: string;
  /** An image with the missing platforms is made of it. */
  readonly extended: boolean;
  /** Other artifacts are made of its content. */
  readonly content: boolean;
  /** What starts in the other artifacts. Default: what the image says. */
  readonly entrypoint?: readonly string[];
  readonly hosts?: readonly Arch[];
  readonly fromPlatform?: Arch;
  readonly shim?: 'all' | readonly string[];
  readonly providers?: readonly EmulatorProvider[];
  readonly sbom?: boolean;
  readonly sourceDateEpoch?: number;
  /** Plain HTTP to the registry of the input. */
  readonly insecure?: boolean;
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly warn?: (message: string) => void;
}

/** What is made of an image. Its source stays open until it is closed. */
export interface PlannedImage {
  /** What the input named. */
  readonly root: { readonly digest: Digest; readonly size: number };
  readonly extended: ExtendedImage | undefined;
  readonly content: PlannedApp | undefined;
  close(): Promise<void>;
}

/**
 * Reads an image once and decides everything that is to be made of it; writes nothing but to the
 * store.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*, UPORT_HOST_UNSUPPORTED
 */
export async function planImage(options: PlanImageOptions): Promise<PlannedImage> {
  const { input, insecure = false, store, signal } = options;
  const source = await openImage(input, { insecure, signal, store });
  try {
    const image = await readSourceImage(source);
    const { entrypoint: _, ...rest } = options;
    const extended = options.extended ? await extendImage(image, rest) : undefined;
    const content = options.content ? await planFromImage(image, options) : undefined;
    const { digest, size } = image.root;
    return {
      root: { digest, size },
      extended,
      content: content?.planned,
      close: async () => {
        await content?.close();
        await source.close();
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

export interface EmitImageOptions extends EmitOptions {
  readonly signal: AbortSignal;
  /** Names of the image in the layout. */
  readonly tags: readonly string[];
}

/**
 * Writes what was planned, all at once: the image as a layout `oci` with `image-plan.json`, and the
 * other artifacts with `plan.json`.
 *
 * @param options `emit` without the image
 */
export async function emitImage(
  { extended, content }: PlannedImage,
  options: EmitImageOptions,
): Promise<readonly Artifact[]> {
  const layout = extended && layoutRequest(extended, options.tags);
  if (content) {
    const emit = [...(layout ? [layout] : []), ...options.emit];
    return emitPlan(content, { ...options, emit });
  }
  return extended ? [await writeImage(extended, options)] : [];
}

/** @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*, UPORT_OUTPUT_IN_THE_WAY */
export async function writeImage(
  image: ExtendedImage,
  options: Omit<EmitImageOptions, 'emit' | 'store'>,
): Promise<Artifact> {
  const outDir = path.resolve(options.outDir);
  const made = await makeFolder(outDir);
  try {
    const artifact = await writeImageLayout(image, { ...options, outDir });
    await writeImagePlan(image, outDir);
    return artifact;
  } catch (error) {
    if (made !== undefined) await removeMadeFolders(made, outDir);
    throw systemError(error, outDir);
  }
}

function layoutRequest(image: ExtendedImage, tags: readonly string[]): EmitRequest {
  return {
    emitter: 'oci',
    cannotCarry: [],
    emit: async (_, { outDir, progress, signal }) => {
      const artifact = await writeImageLayout(image, { outDir, tags, progress, signal });
      await writeImagePlan(image, outDir);
      return [artifact];
    },
  };
}

async function writeImagePlan({ plan }: ExtendedImage, outDir: string): Promise<void> {
  const temporary = path.join(outDir, `.image-plan.json.${process.pid}`);
  try {
    await writeFile(temporary, `${JSON.stringify(plan, undefined, 2)}\n`);
    await rename(temporary, path.join(outDir, 'image-plan.json'));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export interface PushImagesOptions {
  readonly references: readonly string[];
  /** Plain HTTP. */
  readonly insecure?: boolean;
  readonly mountFrom?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Pushes an image to registries, one after another: a later one may mount what an earlier one got. */
export async function pushImages(
  image: ExtendedImage,
  { references, insecure = false, ...rest }: PushImagesOptions,
): Promise<readonly PushResult[]> {
  const pushed: PushResult[] = [];
  for (const reference of references) {
    pushed.push(await pushImage(image, { reference, insecure, ...rest }));
  }
  return pushed;
}

/** Plain HTTP is for the registry that is pushed to; the source may be another one. */
export function isPlainSource(
  input: ImageInput,
  insecure: boolean,
  push: readonly string[],
): boolean {
  if (!insecure || input.kind !== 'docker') return false;
  const targets = push.map((each) => parseReference(each).apiHost);
  return targets.length === 0 || targets.includes(input.reference.apiHost);
}
