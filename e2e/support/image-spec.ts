import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Ajv } from 'ajv';
import { readJson } from './layout.ts';

/** The image-spec's own schemas, as Debian ships them. */
const SCHEMAS = '/usr/share/gocode/src/github.com/opencontainers/image-spec/schema';

export function missingSchemas(): string | undefined {
  if (existsSync(SCHEMAS)) return undefined;
  return 'image-spec schemas missing: apt-get install golang-github-opencontainers-image-spec-dev';
}

let loaded: Promise<Ajv> | undefined;

/** What a document breaks of a schema, such as `image-manifest`. */
export async function schemaFaults(
  name: 'config' | 'image-index' | 'image-layout' | 'image-manifest',
  document: unknown,
): Promise<readonly string[]> {
  loaded ??= load();
  const validate = (await loaded).getSchema(`${name}-schema.json`);
  if (!validate) throw new Error(`${SCHEMAS} has no ${name}-schema.json`);
  validate(document);
  return (validate.errors ?? []).map((fault) => `${fault.instancePath} ${fault.message}`);
}

async function load(): Promise<Ajv> {
  // Formats are left out: the only ones in use are uri and date-time of draft 4.
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const name of (await readdir(SCHEMAS)).filter((each) => each.endsWith('.json'))) {
    const schema = withoutIds(await readJson(path.join(SCHEMAS, name))) as object;
    ajv.addSchema({ ...schema, $id: name });
  }
  return ajv;
}

/** Draft 4 names schemas by `id`, in ways that later drafts don't read; file names serve as well. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(typeof value === 'string' && (key === 'id' || key === '$schema')))
      .map(([key, value]) => [key, withoutIds(value)]),
  );
}
