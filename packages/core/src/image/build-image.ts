// An existing image in, the same image with every platform out.
import type { Artifact } from '../emitters/emitter.ts';
import { checkTags } from '../emitters/oci/options.ts';
import type { Arch } from '../model/arch.ts';
import type { Progress } from '../model/progress.ts';
import { silentProgress } from '../model/progress.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import type { PushResult } from '../registry/push.ts';
import { Store } from '../store/store.ts';
import { extendImage } from './extend-image.ts';
import { type ImageInput, imageName } from './image-input.ts';
import type { ImagePlan } from './image-plan.ts';
import { openImage } from './open-image.ts';
import { isPlainSource, pushImages, writeImage } from './plan-image.ts';
import { readSourceImage } from './read-image.ts';

export interface BuildImageOptions {
  /** From `parseImageInput`. */
  readonly input: ImageInput;
  readonly name?: string;
  /** Writes an image layout `oci` and `image-plan.json` there. Without it layers are not even read. */
  readonly outDir?: string;
  /** Names of the image in the layout. Default: `latest`. */
  readonly tags?: readonly string[];
  /** Where to push it to: `REGISTRY[:PORT]/REPOSITORY[:TAG]`. */
  readonly push?: readonly string[];
  /** Plain HTTP, to the registry of the input too. */
  readonly insecure?: boolean;
  readonly mountFrom?: readonly string[];
  /** Default: amd64, arm64, riscv64, ppc64le and s390x. */
  readonly hosts?: readonly Arch[];
  /** Whose layers the missing platforms get. Default: the best for each host. */
  readonly fromPlatform?: Arch;
  /** Programs that engines start themselves: paths or names, or `all`. */
  readonly shim?: 'all' | readonly string[];
  readonly providers?: readonly EmulatorProvider[];
  /** Attach SBOMs of what is added. Default: true. */
  readonly sbom?: boolean;
  /** Seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number;
  readonly store?: Store;
  readonly env?: NodeJS.ProcessEnv;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  readonly warn?: (message: string) => void;
}

export interface BuildImageResult {
  readonly plan: ImagePlan;
  /** Of the index. */
  readonly digest: string;
  readonly artifacts: readonly Artifact[];
  readonly pushed: readonly PushResult[];
}

/**
 * Gives an image the platforms that it lacks. Those that it has stay byte for byte.
 *
 * @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_*, UPORT_HOST_UNSUPPORTED
 */
export async function buildImage(options: BuildImageOptions): Promise<BuildImageResult> {
  const { input, env, insecure = false, tags = ['latest'] } = options;
  checkTags(tags);
  const progress = options.progress ?? silentProgress;
  const signal = options.signal ?? new AbortController().signal;
  const store = options.store ?? (await Store.open());
  const push = options.push ?? [];
  const source = await openImage(input, {
    insecure: isPlainSource(input, insecure, push),
    signal,
    store,
    ...(env && { env }),
  });
  try {
    const image = await extendImage(await readSourceImage(source), {
      name: options.name ?? imageName(input),
      store,
      progress,
      signal,
      ...(options.hosts && { hosts: options.hosts }),
      ...(options.fromPlatform && { fromPlatform: options.fromPlatform }),
      ...(options.shim && { shim: options.shim }),
      ...(options.providers && { providers: options.providers }),
      ...(options.sbom !== undefined && { sbom: options.sbom }),
      ...(options.sourceDateEpoch !== undefined && { sourceDateEpoch: options.sourceDateEpoch }),
      ...(options.warn && { warn: options.warn }),
    });
    const { outDir, mountFrom } = options;
    const artifacts =
      outDir === undefined ? [] : [await writeImage(image, { outDir, tags, progress, signal })];
    const pushed = await pushImages(image, {
      references: push,
      insecure,
      progress,
      signal,
      ...(mountFrom && { mountFrom }),
      ...(env && { env }),
    });
    return { plan: image.plan, digest: image.root.digest, artifacts, pushed };
  } finally {
    await source.close();
  }
}
