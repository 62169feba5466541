// How an existing image is named as an input. The spellings are those of skopeo and podman.
import { parseSourceReference, type SourceReference } from '../registry/reference.ts';
import { imageFault } from './faults.ts';

export type ImageInput =
  | { readonly kind: 'oci'; readonly folder: string; readonly tag: string | undefined }
  | { readonly kind: 'oci-archive'; readonly file: string; readonly tag: string | undefined }
  | { readonly kind: 'docker-archive'; readonly file: string; readonly tag: string | undefined }
  | { readonly kind: 'docker'; readonly reference: SourceReference };

/**
 * Reads `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]` or
 * `docker://REGISTRY/REPOSITORY[:TAG|@DIGEST]`; undefined for anything else, which is a path.
 *
 * @throws UportError UPORT_IMAGE_REFERENCE, UPORT_REGISTRY_REFERENCE
 */
export function parseImageInput(text: string): ImageInput | undefined {
  const scheme = /^(oci|oci-archive|docker-archive|docker):/.exec(text)?.[1];
  if (scheme === undefined) return undefined;
  const rest = text.slice(scheme.length + 1);
  if (scheme === 'docker') {
    if (rest.startsWith('//'))
      return { kind: 'docker', reference: parseSourceReference(rest.slice(2)) };
    throw badInput(text, 'write docker://REGISTRY/REPOSITORY:TAG');
  }
  // As skopeo has it: the path ends at the first colon.
  const colon = rest.indexOf(':');
  const place = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (place === '' || tag === '' || text.includes('\0')) {
    throw badInput(text, `write ${scheme}:${scheme === 'oci' ? 'DIR' : 'FILE'}, or that with :TAG`);
  }
  if (scheme === 'oci') return { kind: 'oci', folder: place, tag };
  return { kind: scheme as 'oci-archive' | 'docker-archive', file: place, tag };
}

function badInput(text: string, hint: string) {
  return imageFault(
    'UPORT_IMAGE_REFERENCE',
    text.slice(0, 300),
    'this does not name an image',
    `${hint}; for a file or folder of that name write ./${text.slice(0, 100)}`,
  );
}

/** The app's name when nobody gives one: the last part of the repository, folder or file. */
export function imageName(input: ImageInput): string {
  if (input.kind === 'docker') return lastPart(input.reference.repository);
  if (input.kind === 'oci')
    return lastPart(input.tag?.includes('/') ? input.tag.replace(/:[^/]*$/, '') : input.folder);
  return lastPart(input.file).replace(/\.tar(\.[a-z0-9]+)?$/, '') || 'app';
}

function lastPart(text: string): string {
  return (
    text
      .split('/')
      .filter((part) => part !== '' && part !== '.' && part !== '..')
      .at(-1) ?? 'app'
  );
}
