import { Flags, type Interfaces } from '@oclif/core';
import { type Arch, parseArch } from '@uport/core/model';
import { usage } from './pairs.ts';

const fromPlatform = Flags.custom<Arch>({
  summary:
    'Of an existing image: the platform whose layers the missing ones get. Default: the best for each host.',
  helpValue: 'PLATFORM',
  helpGroup: 'EXISTING IMAGES',
  parse: async (spelling) => parseArch(spelling),
});

const shim = Flags.custom<string>({
  summary:
    'Programs of an image that engines start themselves, such as /bin/sh for exec and health checks; all is every program in PATH.',
  helpValue: 'PATH|all',
  helpGroup: 'IMAGE',
  multiple: true,
  multipleNonGreedy: true,
  delimiter: ',',
});

/** What `--shim` asks for. */
export function shimRequest(
  given: readonly string[] | undefined,
): 'all' | readonly string[] | undefined {
  if (given === undefined || !given.includes('all')) return given;
  if (given.length === 1) return 'all';
  throw usage('--shim all leaves nothing more to name', 'give --shim all alone');
}

/** Flags that count for an image as the input. */
export const imageFlags = {
  'from-platform': fromPlatform(),
  shim: shim(),
} satisfies Interfaces.FlagInput;

/** What an image says itself, and what is decided by its format. */
const NOT_FOR_IMAGES: readonly string[] = [
  ...['entrypoint', 'cmd', 'env', 'workdir', 'user', 'label', 'expose', 'volume', 'stop-signal'],
  ...['lib', 'preload', 'guest-env', 'unset', 'cpu', 'emulator'],
  ...['annotation', 'slice', 'compression', 'compression-level', 'archive'],
  ...['from-debian', 'debian-package', 'opened-libraries', 'debian-mirror', 'debian-keyring'],
  ...['debian-archived', 'nix-store', 'nix-trusted-key', 'store-references', 'store-prefix'],
];

/**
 * @param made whether an image is made; else only its content is used
 * @throws UportError UPORT_USAGE
 */
export function refuseImageFlags(
  given: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, { readonly setFromDefault?: boolean } | undefined>>,
  made: boolean,
): void {
  const allowed = made ? [] : ['entrypoint', 'compression-level'];
  const wrong = NOT_FOR_IMAGES.filter((name) => !allowed.includes(name)).filter(
    (name) =>
      given[name] !== undefined && given[name] !== false && metadata[name]?.setFromDefault !== true,
  );
  if (wrong.length === 0) return;
  throw usage(
    `${wrong.map((name) => `--${name}`).join(', ')} cannot be used with an existing image: it stays as it is`,
    'leave it out; to change the image, build it anew from its files',
  );
}
