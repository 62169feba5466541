// SBOMs as artifacts that are attached to an image.
import { type BlobDescriptor, createReferrer, type Referrer } from '../oci/referrers.ts';
import { cycloneDxDocument } from './cyclonedx.ts';
import type { Inventory } from './inventory.ts';
import { spdxDocument } from './spdx.ts';

/** Both formats, attached to the image that the inventory is of. */
export function sbomReferrers(inventory: Inventory, subject: BlobDescriptor): readonly Referrer[] {
  const created = { 'org.opencontainers.image.created': inventory.created };
  const title = (format: string) => ({ 'org.opencontainers.image.title': `sbom.${format}.json` });
  return [
    createReferrer(subject, {
      mediaType: 'application/spdx+json',
      bytes: spdxDocument(inventory),
      annotations: { ...created, ...title('spdx') },
    }),
    createReferrer(subject, {
      mediaType: 'application/vnd.cyclonedx+json',
      bytes: cycloneDxDocument(inventory),
      annotations: { ...created, ...title('cdx') },
    }),
  ];
}
