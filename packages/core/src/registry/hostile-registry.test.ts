import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { UportError } from '@uport/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { createReferrer, referrersIndex, referrersTag } from '../oci/referrers.ts';
import { type BlobTransfer, fetchTransfer } from './blob-transfer.ts';
import type { RegistryClient } from './client.ts';
import { resolveLocation } from './http.ts';
import { imageBuilderTransfer } from './image-builder-transfer.ts';
import { type PushOptions, pushThrough } from './push.ts';
import { type LayoutFixture, writeLayout } from './testing/layout-fixture.ts';
import { type Handler, startMisbehaving } from './testing/misbehaving-registry.ts';

let dir: string;
let layout: LayoutFixture;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'uport-hostile-'));
  layout = await writeLayout(path.join(dir, 'layout'), { sharedSize: 2_000_000 });
});
afterAll(() => rm(dir, { recursive: true }));

async function open(handler: Handler) {
  const registry = await startMisbehaving(handler);
  onTestFinished(registry.stop);
  return registry;
}

const WAYS: [string, (client: RegistryClient) => BlobTransfer][] = [
  [
    'oci-image-builder',
    (client) => imageBuilderTransfer(client) ?? expect.fail('oci-image-builder is not installed'),
  ],
  ['fetch', fetchTransfer],
];
const SECRET = 'hunter2-hunter2';

function push(way: (client: RegistryClient) => BlobTransfer, host: string, more = {}) {
  const options: PushOptions = {
    layout: layout.dir,
    reference: `${host}/team/app:1`,
    insecure: true,
    env: { DOCKER_CONFIG: dir },
    progress: silentProgress,
    signal: new AbortController().signal,
    ...more,
  };
  return pushThrough(way, options);
}

const indexBytes = () =>
  readFile(path.join(layout.dir, 'blobs', 'sha256', layout.root.slice('sha256:'.length)));

/** Answers the question for the tag's manifest, which the plain answers leave open. */
function withIndex(bytes: Buffer, handler: Handler = () => false): Handler {
  return (request, response) => {
    if (handler(request, response)) return true;
    if (request.method !== 'GET' || !request.url?.includes('/manifests/')) return false;
    response.end(bytes);
    return true;
  };
}

const credentials = { username: 'me', password: SECRET };
const basicChallenge: Handler = (request, response) => {
  if (request.headers.authorization) return false;
  request.resume();
  response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
  return true;
};

/** Attaches a document to the image of the layout. @returns the digest of its manifest */
async function attach(folder: string): Promise<string> {
  const top = path.join(folder, 'index.json');
  const list = JSON.parse(await readFile(top, 'utf8'));
  const subject = list.manifests[0];
  const bytes = Buffer.from('{}');
  const mediaType = 'application/spdx+json';
  const made = createReferrer(subject, { mediaType, bytes, annotations: {} });
  const index = referrersIndex([made]);
  const put = async (blob: Buffer) => {
    const hex = createHash('sha256').update(blob).digest('hex');
    await writeFile(path.join(folder, 'blobs', 'sha256', hex), blob);
    return `sha256:${hex}`;
  };
  for (const blob of [...made.blobs.map((each) => each.bytes), made.manifest]) await put(blob);
  list.manifests.push({
    mediaType: list.mediaType,
    digest: await put(index),
    size: index.length,
    annotations: { 'org.opencontainers.image.ref.name': referrersTag(subject.digest) },
  });
  await writeFile(top, JSON.stringify(list));
  return made.descriptor.digest;
}

test('a registry that refuses SBOMs takes the image without them, as the hint says', async () => {
  const own = await writeLayout(path.join(dir, 'attached'));
  const attached = await attach(own.dir);
  const bytes = await readFile(path.join(own.dir, 'blobs/sha256', own.root.slice(7)));
  const registry = await open(
    withIndex(bytes, (request, response) => {
      if (!request.url?.endsWith(attached)) return false;
      request.resume();
      response.writeHead(400).end('{"errors":[{"code":"MANIFEST_INVALID"}]}');
      return true;
    }),
  );
  await expect(push(fetchTransfer, registry.host, { layout: own.dir })).rejects.toMatchObject({
    code: 'UPORT_REGISTRY_REFUSED',
    hint: expect.stringContaining('--no-sbom'),
  });
  const tagged = () => registry.seen.filter(({ url }) => url.endsWith('/manifests/1'));
  expect(tagged()).toEqual([]);
  const without = { layout: own.dir, sbom: false };
  expect(await push(fetchTransfer, registry.host, without)).toMatchObject({ referrers: 0 });
  expect(tagged().length).toBeGreaterThan(0);
});

describe.each(WAYS)('%s', (name, way) => {
  test('an honest registry that says little', async () => {
    const registry = await open(withIndex(await indexBytes()));
    const result = await push(way, registry.host);
    expect(result).toMatchObject({ uploadedBlobs: 11, manifests: 6, digest: layout.root });
  });

  test('a Location on another host gets the blob and no login', async () => {
    const other = await open(() => false);
    const registry = await open(
      withIndex(await indexBytes(), (request, response) => {
        if (basicChallenge(request, response)) return true;
        if (request.method !== 'POST') return false;
        response.writeHead(202, { location: `http://${other.host}/store?sig=1` }).end();
        return true;
      }),
    );
    expect(await push(way, registry.host, { credentials })).toMatchObject({ uploadedBlobs: 11 });
    expect(other.seen).toHaveLength(11);
    expect(other.seen.map(({ authorization }) => authorization)).toEqual(Array(11).fill(undefined));
    expect(registry.seen.some(({ authorization }) => authorization?.startsWith('Basic '))).toBe(
      true,
    );
  });

  test('a redirect to another host carries no login', async () => {
    const other = await open((_request, response) => {
      response.writeHead(404).end();
      return true;
    });
    const registry = await open(
      withIndex(await indexBytes(), (request, response) => {
        if (basicChallenge(request, response)) return true;
        if (request.method !== 'HEAD') return false;
        response.writeHead(307, { location: `http://${other.host}${request.url}` }).end();
        return true;
      }),
    );
    expect(await push(way, registry.host, { credentials })).toMatchObject({ uploadedBlobs: 11 });
    expect(other.seen.length).toBe(11);
    expect(other.seen.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test.each([
    ['nothing', undefined],
    ['no URL', 'http://[oops/'],
    ['a file', 'file:///etc/passwd'],
    ['a login', 'http://me:pw@127.0.0.1:1/x'],
    ['much', `/${'a'.repeat(9000)}`],
  ])('a Location of %s', async (_what, location) => {
    const registry = await open((request, response) => {
      if (request.method !== 'POST') return false;
      response.writeHead(202, location === undefined ? {} : { location }).end();
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_RESPONSE' }),
    );
  });

  test('a blob stored under another digest', async () => {
    const registry = await open((request, response) => {
      if (request.method !== 'PUT') return false;
      request.resume();
      const digest = `sha256:${'0'.repeat(64)}`;
      request.on('end', () => response.writeHead(201, { 'docker-content-digest': digest }).end());
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_DIGEST' }),
    );
  });

  test('a layout that is damaged is not pushed', async () => {
    const damaged = await writeLayout(path.join(dir, `damaged-${name}`), { sharedSize: 2_000_000 });
    const file = path.join(
      damaged.dir,
      'blobs',
      'sha256',
      damaged.sharedLayer.slice('sha256:'.length),
    );
    const bytes = await readFile(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await writeFile(file, bytes);
    let wholeBlobs = 0;
    const registry = await open((request) => {
      if (request.method !== 'PUT') return false;
      request.on('end', () => {
        if (request.url?.includes(encodeURIComponent(damaged.sharedLayer))) wholeBlobs++;
      });
      return false;
    });
    await expect(push(way, registry.host, { layout: damaged.dir })).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_LAYOUT', file }),
    );
    expect(wholeBlobs).toBe(0);
  });

  test.each([
    [403, 'UPORT_REGISTRY_DENIED', /may push/],
    [404, 'UPORT_REGISTRY_REFUSED', /address/],
    [413, 'UPORT_REGISTRY_REFUSED', /size limit/],
    [501, 'UPORT_REGISTRY_REFUSED', /log/],
  ])('status %i for an upload', async (status, code, hint) => {
    const registry = await open((request, response) => {
      if (request.method !== 'POST') return false;
      response.writeHead(status).end('<html>');
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({ code, hint: expect.stringMatching(hint) }),
    );
  });

  test('a redirect instead of an upload', async () => {
    const registry = await open((request, response) => {
      if (request.method !== 'PUT') return false;
      request.resume();
      request.on('end', () => response.writeHead(307, { location: '/elsewhere' }).end());
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_RESPONSE' }),
    );
  });

  test('a refusal before the blob has been read', async () => {
    const registry = await open((request, response) => {
      if (request.method !== 'PUT') return false;
      response.writeHead(413, { connection: 'close' }).end('too large');
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^UPORT_REGISTRY_(REFUSED|UNREACHABLE)$/),
      }),
    );
  });

  test('any answers at all: a UportError or a result, never a crash', async () => {
    const answer = fc.record({
      status: fc.constantFrom(200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 405, 418),
      headers: fc.dictionary(
        fc.constantFrom('location', 'www-authenticate', 'docker-content-digest', 'retry-after'),
        fc.oneof(
          fc.stringMatching(/^[\x20-\x7e]{0,40}$/),
          fc.constantFrom('/', '/v2/', 'Bearer realm="/t"', 'Basic realm="x"', 'http://[', '?a'),
        ),
      ),
      body: fc.constantFrom(
        '',
        '{"errors":[{"code":7}]}',
        '{"errors":[null]}',
        '{',
        '{"token":"a\\nb"}',
      ),
    });
    await fc.assert(
      // Without an answer of its own a request gets an honest one, so that the push goes on.
      fc.asyncProperty(
        fc.array(fc.option(answer, { freq: 2 }), { minLength: 1, maxLength: 30 }),
        async (answers) => {
          let at = 0;
          const registry = await startMisbehaving((request, response) => {
            const next = answers[at++ % answers.length];
            if (!next) return false;
            request.resume();
            request.on('end', () => {
              response.writeHead(next.status, next.headers);
              response.end(
                request.method === 'HEAD' || next.status === 204 ? undefined : next.body,
              );
            });
            return true;
          });
          try {
            await push(way, registry.host, { credentials, mountFrom: ['a'] });
          } catch (error) {
            expect(error).toBeInstanceOf(UportError);
            expect((error as UportError).code).toMatch(/^UPORT_REGISTRY_/);
          } finally {
            await registry.stop();
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('answers', () => {
  const [, way] = WAYS[1] as (typeof WAYS)[number];

  test('nobody there, or a port that fetch refuses', async () => {
    const gone = await startMisbehaving(() => false);
    await gone.stop();
    const code = 'UPORT_REGISTRY_UNREACHABLE';
    await expect(push(way, gone.host)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('ECONNREFUSED') }),
    );
    await expect(push(way, '127.0.0.1:6000')).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('port 6000') }),
    );
  });

  test('endless redirects end', async () => {
    const registry = await open((request, response) => {
      response.writeHead(307, { location: `${request.url}x` }).end();
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(/redirected more than 5 times/);
    expect(registry.seen.length).toBe(6);
  });

  test('endless bodies end', async () => {
    const registry = await open((_request, response) => {
      response.writeHead(400);
      const chunk = Buffer.alloc(1 << 16, 'x');
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(/more than 65536 bytes/);
  });

  test('a compressed flood ends', async () => {
    const flood = gzipSync(Buffer.alloc(64 << 20));
    const registry = await open((request, response) => {
      if (request.method !== 'GET' || !request.url?.includes('/manifests/')) return false;
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(flood);
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(/more than 4194304 bytes/);
  });

  test('other bytes for the tag', async () => {
    const registry = await open(withIndex(Buffer.from('{}')));
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_DIGEST' }),
    );
  });

  test('a login sent back in an error is not shown, nor are control characters', async () => {
    const registry = await open((request, response) => {
      if (basicChallenge(request, response)) return true;
      const login = request.headers.authorization ?? '';
      const plain = Buffer.from(login.slice('Basic '.length), 'base64').toString();
      const message = `${login} ${plain} \u001b[2J${'y'.repeat(5000)}`;
      request.resume();
      request.on('end', () => {
        response
          .writeHead(request.method === 'HEAD' ? 404 : 418)
          .end(JSON.stringify({ errors: [{ code: 'DENIED', message }] }));
      });
      return true;
    });
    const error = (await push(way, registry.host, { credentials }).catch((e) => e)) as UportError;
    expect(error.code).toBe('UPORT_REGISTRY_REFUSED');
    expect(error.message).toContain('[secret]');
    expect(error.message.length).toBeLessThan(500);
    const everything = `${error.stack} ${JSON.stringify(error)}`;
    expect(everything).not.toContain(SECRET);
    expect(everything).not.toContain(Buffer.from(`me:${SECRET}`).toString('base64'));
    expect(error.message).not.toContain('\u001b');
  });

  test('a server that asks to wait for hours is not waited for', async () => {
    const registry = await open((_request, response) => {
      response.writeHead(429, { 'retry-after': '7200' }).end();
      return true;
    });
    await expect(push(way, registry.host)).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_RATE_LIMITED',
        hint: 'try again in 7200 seconds',
      }),
    );
    expect(registry.seen).toHaveLength(1);
  });
});

describe('token servers', () => {
  const [, way] = WAYS[1] as (typeof WAYS)[number];
  const asking = (challenge: string) =>
    open((request, response) => {
      if (!request.url?.startsWith('/v2/')) return false;
      request.resume();
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return true;
    });
  const AUTH = 'UPORT_REGISTRY_AUTH';

  test.each([
    ['Negotiate', AUTH, /neither Bearer nor Basic/],
    ['', AUTH, /neither Bearer nor Basic/],
    ['Bearer service="s"', AUTH, /without naming a token server/],
    ['Bearer realm="ftp://x/"', 'UPORT_REGISTRY_RESPONSE', /no usable URL/],
    ['Bearer realm="http://a:b@x/"', 'UPORT_REGISTRY_RESPONSE', /no usable URL/],
  ])('challenge %j', async (challenge, code, message) => {
    const registry = await asking(challenge);
    const failure = push(way, registry.host, { credentials });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toThrow(expect.objectContaining({ code }));
  });

  test.each([
    ['no JSON', 'hello', /without a token/],
    ['null', 'null', /without a token/],
    ['no token', '{}', /without a token/],
    ['a token with a line break', '{"token":"a\\r\\nx: y"}', /without a token/],
    ['a flood', 'x'.repeat(2 << 20), /more than 1048576 bytes/],
  ])('%s', async (_name, body, message) => {
    const server = await open((_request, response) => {
      response.end(body);
      return true;
    });
    const registry = await asking(`Bearer realm="http://${server.host}/t"`);
    await expect(push(way, registry.host, { credentials })).rejects.toThrow(message);
  });

  test('redirects to another host carry neither password nor identity token', async () => {
    const other = await open((_request, response) => {
      response.end('{"token":"t"}');
      return true;
    });
    const server = await open((_request, response) => {
      response.writeHead(307, { location: `http://${other.host}/steal` }).end();
      return true;
    });
    const registry = await asking(`Bearer realm="http://${server.host}/t"`);
    await expect(push(way, registry.host, { credentials })).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_UNAUTHORIZED' }),
    );
    expect(server.seen[0]?.authorization).toMatch(/^Basic /);
    expect(other.seen.length).toBeGreaterThan(0);
    expect(other.seen.every(({ authorization }) => authorization === undefined)).toBe(true);

    other.seen.length = 0;
    const file = path.join(dir, 'identity.json');
    const auths = { [registry.host]: { identitytoken: SECRET } };
    await writeFile(file, JSON.stringify({ auths }));
    await expect(push(way, registry.host, { env: { REGISTRY_AUTH_FILE: file } })).rejects.toThrow(
      UportError,
    );
    expect(other.seen).toEqual([]);
  });
});

describe('resolveLocation', () => {
  const base = new URL('https://registry.example/v2/a/blobs/uploads/');

  test('never leaves encryption', () => {
    expect(() => resolveLocation('http://registry.example/x?_state=secret', base, false)).toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_RESPONSE',
        message: expect.not.stringContaining('secret'),
        hint: expect.stringContaining('X-Forwarded-Proto'),
      }),
    );
  });

  test.each([
    ['/v2/x?a=1', 'https://registry.example/v2/x?a=1'],
    ['session', 'https://registry.example/v2/a/blobs/uploads/session'],
    ['?a=1', 'https://registry.example/v2/a/blobs/uploads/?a=1'],
    ['//other.example/x', 'https://other.example/x'],
  ])('%s', (location, expected) => {
    expect(resolveLocation(location, base, false).href).toBe(expected);
  });
});
