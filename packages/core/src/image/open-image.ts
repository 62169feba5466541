import type { ImageInput } from './image-input.ts';
import type { ImageSource } from './image-source.ts';
import { openLayout } from './layout-source.ts';
import { openRegistry, type RegistrySourceOptions } from './registry-source.ts';

/** Opens what an input names. To be closed. @throws UportError UPORT_IMAGE_*, UPORT_REGISTRY_* */
export async function openImage(
  input: ImageInput,
  options: RegistrySourceOptions,
): Promise<ImageSource> {
  switch (input.kind) {
    case 'docker':
      return openRegistry(input.reference, options);
    default:
      return openLayout(input.kind === 'oci' ? input.folder : input.file, input.tag);
  }
}
