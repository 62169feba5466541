import { platformName } from '../model/arch.ts';
import { imageRoots, readLayout, referrersOf } from '../oci/layout.ts';

export interface PlatformDescription {
  /** `linux/arm64/v8`. */
  readonly platform: string;
  readonly digest: string;
  /** Bytes of config and layers, as they are stored. */
  readonly size: number;
  /** How the app starts there, when uport made the image. */
  readonly way: string | undefined;
  /** Such as `qemu-riscv64 11.1.2`. */
  readonly emulator: string | undefined;
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

export interface AttachedDescription {
  readonly artifactType: string;
  readonly digest: string;
  /** Bytes of what is attached. */
  readonly size: number;
}

export interface LayoutDescription {
  readonly images: readonly {
    readonly tag: string | undefined;
    readonly digest: string;
    /** The app's own CPU, when uport made the image. */
    readonly guest: string | undefined;
    readonly platforms: readonly PlatformDescription[];
    /** Artifacts that are attached to it, such as SBOMs. */
    readonly attached: readonly AttachedDescription[];
  }[];
}

/** What an OCI image layout holds. @throws UportError UPORT_OCI_* */
export async function describeLayout(
  folder: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<LayoutDescription> {
  const layout = await readLayout(folder, options);
  return {
    images: imageRoots(layout).map((root) => ({
      tag: root.tag,
      digest: root.descriptor.digest,
      guest: root.images
        .map(({ manifest }) => manifest.annotations['dev.uport.guest'])
        .find((guest) => guest !== undefined),
      platforms: root.images.map(({ descriptor, manifest, platform }) => ({
        platform: platform ? platformName({ ...platform, os: 'linux' }) : 'unknown',
        digest: descriptor.digest,
        size: manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size),
        way: manifest.annotations['dev.uport.way'],
        emulator: manifest.annotations['dev.uport.emulator'],
        layers: manifest.layers.map(({ digest, size }) => ({ digest, size })),
      })),
      attached: referrersOf(layout, root.descriptor.digest).map(({ descriptor, manifest }) => ({
        artifactType: manifest.artifactType ?? manifest.config.mediaType,
        digest: descriptor.digest,
        size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
      })),
    })),
  };
}
