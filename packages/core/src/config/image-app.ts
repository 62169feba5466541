// An app of a configuration that is an existing image.
import path from 'node:path';
import { UportError } from '@uport/errors';
import { type ImageInput, imageName, parseImageInput } from '../image/image-input.ts';
import type { PlanImageOptions } from '../image/plan-image.ts';
import type { LockedImage } from '../lock/lock.ts';
import { parseArch } from '../model/arch.ts';
import type { ConfiguredOptions } from './app-options.ts';
import type { AppConfig } from './schema.ts';

/** What an image says itself, and what is decided by its format. */
const NOT_FOR_IMAGES = ['image', 'guest', 'emulator', 'slices', 'fromDebian', 'nix'] as const;
const NOT_FOR_LAYOUTS = ['compression', 'level', 'archive'] as const;

/**
 * The image that an app is; undefined when it is none. Files are relative to `folder`.
 *
 * @throws UportError UPORT_CONFIG_IMAGE, UPORT_IMAGE_REFERENCE, UPORT_REGISTRY_REFERENCE
 */
export function imageInputOf(app: AppConfig, folder: string): ImageInput | undefined {
  const input = parseImageInput(app.input);
  if (input === undefined) {
    const strange = (['fromPlatform', 'shim'] as const).filter((name) => app[name] !== undefined);
    // A program becomes an image of its own: what engines start in it is the command line's to say.
    if (strange.length > 0) throw wrong(`${strange.join(', ')} is for existing images`);
    return undefined;
  }
  const own = ociSettings(app);
  const strange = [
    ...NOT_FOR_IMAGES.filter((name) => app[name] !== undefined),
    ...(own === undefined ? [] : NOT_FOR_LAYOUTS.filter((name) => own[name] !== undefined)),
    ...(own === undefined || app.entrypoint === undefined ? [] : ['entrypoint']),
  ];
  if (strange.length > 0) {
    throw wrong(`${strange.join(', ')} cannot be used with an existing image: it stays as it is`);
  }
  if (input.kind === 'docker') return input;
  if (input.kind === 'oci') return { ...input, folder: path.resolve(folder, input.folder) };
  return { ...input, file: path.resolve(folder, input.file) };
}

type OciSettings = Exclude<Extract<AppConfig['emit'], { oci?: unknown }>['oci'], true>;

/** Undefined when no image is made. */
export function ociSettings({ emit = ['oci'] }: AppConfig): OciSettings | undefined {
  if (Array.isArray(emit)) return emit.includes('oci') ? {} : undefined;
  return emit.oci === true ? {} : emit.oci;
}

/**
 * The image by the digest that the lock has, where a registry can be asked for that. Files and
 * folders are read as they are, and compared with the lock.
 */
export function lockedInput(app: AppConfig, input: ImageInput, locked: LockedImage | undefined) {
  if (input.kind !== 'docker' || locked?.source !== app.input) return input;
  const [, head, name] = /^(.*\/)([^/:@]+)[^/]*$/.exec(app.input) as unknown as string[];
  return parseImageInput(`${head}${name}@${locked.digest}`) ?? input;
}

/** What a plan of the image is asked for. */
export function imagePlanOptions(
  app: AppConfig,
  options: ConfiguredOptions,
  input: ImageInput,
): Omit<PlanImageOptions, 'input' | 'store' | 'progress' | 'signal'> {
  const own = ociSettings(app);
  return {
    name: app.name ?? imageName(input),
    extended: own !== undefined,
    content: options.emit.some(({ emitter }) => emitter !== 'oci'),
    ...(options.entrypoint && { entrypoint: options.entrypoint }),
    ...(options.hosts && { hosts: options.hosts }),
    ...(app.fromPlatform !== undefined && { fromPlatform: parseArch(app.fromPlatform) }),
    ...(app.shim && { shim: app.shim }),
    ...(own?.sbom !== undefined && { sbom: own.sbom }),
    ...(app.sourceDateEpoch !== undefined && { sourceDateEpoch: app.sourceDateEpoch }),
  };
}

function wrong(message: string): UportError {
  return new UportError({
    code: 'UPORT_CONFIG_IMAGE',
    category: 'usage',
    message,
    hint: 'take it out of the configuration; to change an image, build it anew from its files',
  });
}
