// SPDX 2.3 in JSON: https://spdx.github.io/spdx-spec/v2.3/
import { createHash } from 'node:crypto';
import { digestHex, sha256Digest } from '../model/digest.ts';
import { type Component, type Inventory, uuidOf } from './inventory.ts';

const NONE = 'NOASSERTION';

/** A document of fixed bytes for an inventory. */
export function spdxDocument(inventory: Inventory): Buffer {
  const { app, components, files, created, description } = inventory;
  const root = 'SPDXRef-app';
  const body = {
    packages: [
      {
        SPDXID: root,
        name: app,
        downloadLocation: NONE,
        // The verification code of analysed packages is made of SHA1, which nothing here needs.
        filesAnalyzed: false,
        licenseConcluded: NONE,
        licenseDeclared: NONE,
        copyrightText: NONE,
        primaryPackagePurpose: 'APPLICATION',
        comment: description,
      },
      ...components.map(packageOf),
    ],
    files: files.map(({ name, digest }, index) => ({
      SPDXID: fileId(index),
      fileName: `./${name}`,
      checksums: [{ algorithm: 'SHA256', checksumValue: digestHex(digest) }],
      licenseConcluded: NONE,
      copyrightText: NONE,
    })),
    relationships: [
      relationship('SPDXRef-DOCUMENT', 'DESCRIBES', root),
      ...components.flatMap((each) =>
        each.linkedInto === undefined
          ? [relationship(root, 'CONTAINS', refOf(each))]
          : each.linkedInto.map((id) => relationship(refOf({ id }), 'STATIC_LINK', refOf(each))),
      ),
      ...files.map((_, index) => relationship(root, 'CONTAINS', fileId(index))),
    ],
  };
  const digest = sha256Digest(createHash('sha256').update(JSON.stringify(body)).digest('hex'));
  return Buffer.from(
    `${JSON.stringify({
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: app,
      documentNamespace: `urn:uuid:${uuidOf(digest)}`,
      creationInfo: { created, creators: ['Tool: uport'] },
      ...body,
    })}\n`,
  );
}

function packageOf(component: Component) {
  const { name, version, license, supplier, purl, digest, kind, description } = component;
  return {
    SPDXID: refOf(component),
    name,
    ...(version !== undefined && { versionInfo: version }),
    supplier: supplier === NONE ? NONE : `Organization: ${supplier}`,
    downloadLocation: NONE,
    filesAnalyzed: false,
    ...(digest !== undefined && {
      checksums: [{ algorithm: 'SHA256', checksumValue: digestHex(digest) }],
    }),
    licenseConcluded: license ?? NONE,
    licenseDeclared: license ?? NONE,
    copyrightText: NONE,
    ...(purl !== undefined && {
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
      ],
    }),
    primaryPackagePurpose: kind === 'library' || kind === 'package' ? 'LIBRARY' : 'APPLICATION',
    comment: description,
  };
}

function relationship(from: string, type: string, to: string) {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

const refOf = ({ id }: Pick<Component, 'id'>) => `SPDXRef-${id}`;
const fileId = (index: number) => `SPDXRef-file-${index}`;
