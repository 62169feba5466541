import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { createClient } from './client.ts';
import { imageBuilderTransfer } from './image-builder-transfer.ts';
import { parseReference } from './reference.ts';

const client = createClient({
  reference: parseReference('registry.example/app:1'),
  credentials: undefined,
  insecure: false,
  signal: new AbortController().signal,
});

test('the library is used where it is installed, and not missed where it is not', () => {
  expect(imageBuilderTransfer(client)?.name).toBe('oci-image-builder');
  expect(imageBuilderTransfer(client, 'file:///nowhere/at/all.js')).toBeUndefined();
});

test('nothing that the library depends on is loaded', () => {
  const { cache } = createRequire(import.meta.url);
  imageBuilderTransfer(client);
  const foreign = Object.keys(cache).filter((file) =>
    /node_modules\/(@cypress|request)\//.test(file),
  );
  expect(foreign).toEqual([]);
});
