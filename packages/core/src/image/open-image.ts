import type { Store } from '../store/store.ts';
import { openImageArchive } from './archive-source.ts';
import type { ImageInput } from './image-input.ts';
import type { ImageSource } from './image-source.ts';
import { openLayout } from './layout-source.ts';
import { openRegistry, type RegistrySourceOptions } from './registry-source.ts';

export interface OpenImageOptions extends RegistrySourceOptions {
  readonly store: Store;
}

/** Opens what an input names. To be closed. @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_* */
export async function openImage(
  input: ImageInput,
  options: OpenImageOptions,
): Promise<ImageSource> {
  switch (input.kind) {
    case 'docker':
      return openRegistry(input.reference, options);
    case 'oci':
      return openLayout(input.folder, input.tag);
    default:
      return openImageArchive(input.kind, input.file, input.tag, options);
  }
}
