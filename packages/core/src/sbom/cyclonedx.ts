// CycloneDX 1.6 in JSON: https://cyclonedx.org/docs/1.6/json/
import { createHash } from 'node:crypto';
import { digestHex, sha256Digest } from '../model/digest.ts';
import { type Component, type Inventory, uuidOf } from './inventory.ts';

/** A document of fixed bytes for an inventory. */
export function cycloneDxDocument(inventory: Inventory): Buffer {
  const { app, components, files, created, description } = inventory;
  const body = {
    metadata: {
      timestamp: created,
      tools: { components: [{ type: 'application', name: 'uport' }] },
      component: {
        type: 'application',
        'bom-ref': 'app',
        name: app,
        description,
        components: files.map(({ name, digest }) => ({
          type: 'file',
          name,
          hashes: [{ alg: 'SHA-256', content: digestHex(digest) }],
        })),
      },
    },
    components: components.map(componentOf),
    dependencies: [
      {
        ref: 'app',
        dependsOn: components
          .filter(({ linkedInto }) => linkedInto === undefined)
          .map(({ id }) => id),
      },
      ...components
        .map(({ id }) => ({
          ref: id,
          dependsOn: components
            .filter(({ linkedInto }) => linkedInto?.includes(id))
            .map((each) => each.id),
        }))
        .filter(({ dependsOn }) => dependsOn.length > 0),
    ],
  };
  const digest = sha256Digest(createHash('sha256').update(JSON.stringify(body)).digest('hex'));
  return Buffer.from(
    `${JSON.stringify({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      serialNumber: `urn:uuid:${uuidOf(digest)}`,
      version: 1,
      ...body,
    })}\n`,
  );
}

function componentOf(component: Component) {
  const { id, kind, name, version, license, supplier, purl, digest, description } = component;
  return {
    type: kind === 'library' || kind === 'package' ? 'library' : 'application',
    'bom-ref': id,
    ...(supplier !== 'NOASSERTION' && { supplier: { name: supplier } }),
    name,
    ...(version !== undefined && { version }),
    description,
    ...(digest !== undefined && { hashes: [{ alg: 'SHA-256', content: digestHex(digest) }] }),
    ...(license !== undefined && { licenses: [{ license: { id: license } }] }),
    ...(purl !== undefined && { purl }),
  };
}
