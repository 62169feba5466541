// An image layout folder as the source of an image.
import path from 'node:path';
import type { Digest } from '../model/digest.ts';
import { blobPath, openOrdinary } from '../oci/blob-file.ts';
import { REF_NAME } from '../oci/layout.ts';
import { listedSubject } from '../oci/referrers.ts';
import { systemError } from '../system-error.ts';
import { DO_NOT_USE, imageFault } from './faults.ts';
import { parseIndexDocument } from './image-documents.ts';
import {
  type BlobClaim,
  checkDocument,
  checkDocumentSize,
  checkedBlob,
  DOCUMENT_MAX,
  type ImageSource,
} from './image-source.ts';

/**
 * Opens the image of a layout that has the tag, or the only one.
 *
 * @throws UportError UPORT_IMAGE_NOT_FOUND, UPORT_IMAGE_AMBIGUOUS, UPORT_IMAGE_DAMAGED
 */
export async function openLayout(folder: string, tag: string | undefined): Promise<ImageSource> {
  const name = `oci:${folder}${tag === undefined ? '' : `:${tag}`}`;
  const top = await readTop(folder, name);
  const { manifests } = parseIndexDocument(top, name);
  const images = manifests.filter(({ mediaType, annotations }) => {
    return listedSubject(mediaType, annotations[REF_NAME]) === undefined;
  });
  const named = images.filter((each) => tag === undefined || each.annotations[REF_NAME] === tag);
  const distinct = new Map(named.map((each) => [each.digest, each]));
  if (distinct.size !== 1) {
    const tags = images.flatMap((each) => each.annotations[REF_NAME] ?? []);
    throw imageFault(
      distinct.size === 0 ? 'UPORT_IMAGE_NOT_FOUND' : 'UPORT_IMAGE_AMBIGUOUS',
      name,
      `the layout holds ${distinct.size} images${tag === undefined ? '' : ' with this tag'}`,
      tags.length > 0
        ? `name one of its tags, as in oci:${folder}:${tags[0]}; it has: ${tags.slice(0, 10).join(', ')}`
        : 'give a layout of one image',
    );
  }
  const root = [...distinct.values()][0] as BlobClaim;
  return folderSource(folder, name, root);
}

/** Blobs by digest in a layout folder, below a given root. */
export function folderSource(folder: string, name: string, root: BlobClaim): ImageSource {
  const missing = (digest: Digest) =>
    imageFault(
      'UPORT_IMAGE_MISSING',
      name,
      `${digest} is not in the layout, or is no ordinary file`,
      'copy the image again with all its platforms, such as with skopeo copy --all',
    );
  const open = async (claim: BlobClaim) => {
    const opened = await openOrdinary(blobPath(folder, claim.digest));
    if (!opened) throw missing(claim.digest);
    return opened;
  };
  return {
    name,
    folder,
    root: { mediaType: root.mediaType, digest: root.digest, size: root.size },
    async document(claim) {
      checkDocumentSize(claim, name);
      const { handle, size } = await open(claim);
      try {
        if (size > DOCUMENT_MAX) checkDocumentSize({ ...claim, size }, name);
        return checkDocument(await handle.readFile(), claim, name);
      } finally {
        await handle.close();
      }
    },
    async *open(claim, signal) {
      const { handle } = await open(claim);
      const stream = handle.createReadStream({ highWaterMark: 256 << 10, signal });
      yield* checkedBlob(stream as AsyncIterable<Buffer>, claim, name);
    },
    close: async () => undefined,
  };
}

async function readTop(folder: string, name: string): Promise<Buffer> {
  const file = path.join(folder, 'index.json');
  const opened = await openOrdinary(file).catch((error: unknown) => {
    throw systemError(error, file);
  });
  if (!opened) {
    throw imageFault(
      'UPORT_IMAGE_NOT_FOUND',
      name,
      'the folder has no index.json, so it is no image layout',
      'give the folder that holds oci-layout and index.json',
    );
  }
  try {
    if (opened.size > DOCUMENT_MAX) {
      throw imageFault(
        'UPORT_IMAGE_TOO_LARGE',
        name,
        `index.json has ${opened.size} bytes`,
        DO_NOT_USE,
      );
    }
    return await opened.handle.readFile();
  } finally {
    await opened.handle.close();
  }
}
