import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Ajv } from 'ajv';
import { readJson } from './layout.ts';

const require = createRequire(import.meta.url);

/** CycloneDX's own schemas, as its JavaScript library ships them. */
const CYCLONEDX = path.join(
  path.dirname(require.resolve('@cyclonedx/cyclonedx-library/package.json')),
  'res/schema',
);

/** What a document breaks of CycloneDX 1.6. */
export async function cycloneDxFaults(document: unknown): Promise<readonly string[]> {
  const ajv = newAjv();
  for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
    const schema = await readJson(path.join(CYCLONEDX, `${name}.SNAPSHOT.schema.json`));
    // Named as the main schema names it.
    const $id = `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`;
    ajv.addSchema({ ...(schema as object), $id });
  }
  const main = await readJson(path.join(CYCLONEDX, 'bom-1.6.SNAPSHOT.schema.json'));
  return faultsOf(ajv, main as object, document);
}

/** SPDX has its schema in a repository only: `schemas/spdx-schema.json` of spdx-spec 2.3. */
export const SPDX_SCHEMA = process.env.UPORT_SPDX_SCHEMA;

/** What a document breaks of SPDX 2.3. */
export async function spdxFaults(document: unknown): Promise<readonly string[]> {
  const schema = JSON.parse(await readFile(SPDX_SCHEMA ?? '', 'utf8'));
  return faultsOf(newAjv(), schema, document);
}

function newAjv(): Ajv {
  return new Ajv({ strict: false, validateFormats: false, allErrors: true });
}

function faultsOf(ajv: Ajv, schema: object, document: unknown): readonly string[] {
  const validate = ajv.compile(schema);
  validate(document);
  return (validate.errors ?? []).map((fault) => `${fault.instancePath} ${fault.message}`);
}
