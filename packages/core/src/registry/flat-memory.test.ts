import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { writeSparseLayout } from './testing/layout-fixture.ts';
import { startMisbehaving } from './testing/misbehaving-registry.ts';

test('a large blob is never held in memory', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'uport-memory-'));
  const manifests = new Map<string, Buffer>();
  const registry = await startMisbehaving((request, response) => {
    if (!request.url?.includes('/manifests/')) return false;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'PUT') manifests.set('last', Buffer.concat(chunks));
      response.writeHead(request.method === 'PUT' ? 201 : 200);
      response.end(request.method === 'PUT' ? undefined : manifests.get('last'));
    });
    return true;
  });
  try {
    await writeSparseLayout(dir, 320 << 20);
    const child = path.join(import.meta.dirname, 'testing', 'push-child.ts');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--experimental-strip-types', child, dir, `${registry.host}/large:1`, 'insecure'],
      { env: { REGISTRY_AUTH_FILE: '', DOCKER_CONFIG: dir, PATH: process.env.PATH } },
    );
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ uploadedBlobs: 2 });
    // KiB. Node itself takes about 90 MiB.
    expect(result.maxRss).toBeLessThan(300 << 10);
  } finally {
    await registry.stop();
    await rm(dir, { recursive: true });
  }
});
