// Artifacts other than images from the content of an existing image.
import { UportError } from '@uport/errors';
import {
  type BuildOptions,
  type BuildResult,
  emitPlan,
  type PlannedApp,
  planApp,
} from '../build.ts';
import type { Arch } from '../model/arch.ts';
import { silentProgress } from '../model/progress.ts';
import { bySpeed } from '../plan/choose-guest.ts';
import { Store } from '../store/store.ts';
import { archOf, shownPlatform } from './extend-image.ts';
import { imageFault } from './faults.ts';
import { imageApp } from './image-app.ts';
import { type ImageInput, imageName } from './image-input.ts';
import { openImage } from './open-image.ts';
import { readSourceImage, type SourceImage } from './read-image.ts';

export interface BuildFromImageOptions extends Omit<BuildOptions, 'input' | 'app' | 'image'> {
  readonly input: ImageInput;
  /** Whose content it is. Default: that of the CPU that emulators run best. */
  readonly fromPlatform?: Arch;
  /** Plain HTTP to the registry. */
  readonly insecure?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * As `build`, with the file system of an image as the app: layers applied in order, its entrypoint,
 * environment and working directory.
 *
 * @throws UportError UPORT_IMAGE_*, and what `build` throws
 */
export async function buildFromImage(options: BuildFromImageOptions): Promise<BuildResult> {
  const { input, insecure = false, env } = options;
  const signal = options.signal ?? new AbortController().signal;
  const store = options.store ?? (await Store.open());
  const name = options.name ?? imageName(input);
  const source = await openImage(input, { insecure, signal, store, ...(env && { env }) });
  try {
    const image = await readSourceImage(source);
    const content = await planFromImage(image, { ...options, name, store, signal });
    try {
      const artifacts = await emitPlan(content.planned, { ...options, store, signal });
      const { plan, matrix } = content.planned;
      return { plan, matrix, artifacts };
    } finally {
      await content.close();
    }
  } finally {
    await source.close();
  }
}

export interface PlanFromImageOptions
  extends Omit<BuildFromImageOptions, 'input' | 'insecure' | 'env' | 'outDir' | 'emit'> {
  readonly name: string;
  readonly store: Store;
  readonly signal: AbortSignal;
}

/** A plan of what an image holds. The contents are there until it is closed. */
export interface ImageContentPlan {
  readonly planned: PlannedApp;
  close(): Promise<void>;
}

/**
 * Applies the layers of a platform and plans as `planApp` does.
 *
 * @throws UportError UPORT_IMAGE_*, and what `planApp` throws
 */
export async function planFromImage(
  image: SourceImage,
  options: PlanFromImageOptions,
): Promise<ImageContentPlan> {
  const { fromPlatform, name, store, signal } = options;
  const { source } = image;
  const progress = options.progress ?? silentProgress;
  const arches = image.platforms.flatMap(({ platform }) => archOf(platform) ?? []);
  const arch = fromPlatform ?? bySpeed(arches)[0];
  const platform = image.platforms.find((each) => archOf(each.platform) === arch);
  if (arch === undefined || platform === undefined) {
    const has = image.platforms.map((each) => shownPlatform(each.platform)).join(', ');
    throw imageFault(
      'UPORT_IMAGE_PLATFORM',
      source.name,
      `the image has no platform${fromPlatform ? ` of ${fromPlatform.name}` : ''} whose content could be used`,
      `name one of its own with --from-platform; it has: ${has || 'none'}`,
    );
  }
  const context = { store, progress, signal };
  const content = await imageApp(image, platform, name, options.entrypoint, context);
  try {
    const { app, firstArguments, settings } = content;
    if (app.guest !== arch) {
      throw new UportError({
        code: 'UPORT_IMAGE_WRONG_CPU',
        category: 'input',
        message: `the image says ${arch.name}, but its program is of ${app.guest.name}`,
        hint: 'tell whoever made the image',
        file: source.name,
      });
    }
    // The program is the app's own; only its arguments follow.
    const entrypoint = [app.program, ...firstArguments];
    const planned = await planApp({
      ...options,
      ...context,
      emit: [],
      input: source.name,
      app,
      name,
      entrypoint,
      image: settings,
    });
    return { planned, close: content.close };
  } catch (error) {
    await content.close();
    throw error;
  }
}
