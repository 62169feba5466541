import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { storeFault } from './faults.ts';
import { temporaryName } from './temporary.ts';

/** A record is a small note, not a place for bulk data. */
const MAX_RECORD = 4 << 20;

const USE_GRAIN_MS = 60 * 60 * 1000;

function placeOf(root: string, key: string): string {
  const namespace = /^([a-z0-9-]{1,64})\/./.exec(key)?.[1];
  if (!namespace || key.length > 4096) {
    throw invalid(
      `${JSON.stringify(key.slice(0, 100))} cannot name a record`,
      'use NAMESPACE/NAME',
    );
  }
  const name = createHash('sha256').update(key).digest('hex');
  return path.join(root, 'records', namespace, `${name}.json`);
}

export async function writeRecord(root: string, key: string, value: unknown): Promise<void> {
  const place = placeOf(root, key);
  const text = `${JSON.stringify({ key, value })}\n`;
  if (value === undefined || text.length > MAX_RECORD) {
    throw invalid(`the record ${key} has no value, or one over ${MAX_RECORD} bytes`, 'use a blob');
  }
  const temporary = path.join(root, 'tmp', temporaryName());
  try {
    await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw storeFault(error, root);
  }
}

export async function lookupRecord(root: string, key: string): Promise<unknown> {
  const place = placeOf(root, key);
  try {
    const { size, mtimeMs } = await stat(place);
    if (size > MAX_RECORD * 4) return undefined;
    const read: unknown = JSON.parse(await readFile(place, 'utf8'));
    if (Date.now() - mtimeMs > USE_GRAIN_MS) {
      const now = new Date();
      await utimes(place, now, now).catch(() => undefined);
    }
    if (typeof read !== 'object' || read === null) return undefined;
    const { key: itsKey, value } = read as { key?: unknown; value?: unknown };
    return itsKey === key ? value : undefined;
  } catch {
    return undefined;
  }
}

export async function removeRecord(root: string, key: string): Promise<void> {
  await rm(placeOf(root, key), { force: true }).catch((error: unknown) => {
    throw storeFault(error, root);
  });
}

function invalid(message: string, hint: string): UportError {
  return new UportError({
    code: 'UPORT_STORE_RECORD_INVALID',
    category: 'internal',
    message,
    hint,
  });
}
