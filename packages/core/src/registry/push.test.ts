import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import type http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { silentProgress } from '../model/progress.ts';
import { fetchTransfer } from './blob-transfer.ts';
import { imageBuilderTransfer } from './image-builder-transfer.ts';
import { type PushOptions, pushLayout, pushThrough } from './push.ts';
import { makeCertificate } from './testing/certificate.ts';
import {
  has,
  PASSWORD,
  startRegistry,
  type TestRegistry,
  USER,
} from './testing/docker-registry.ts';
import { blobsOf, type LayoutFixture, writeLayout } from './testing/layout-fixture.ts';
import { type Mischief, startProxy } from './testing/proxy.ts';
import { IDENTITY_TOKEN, ISSUER, SERVICE, startTokenServer } from './testing/token-server.ts';

const run = promisify(execFile);
const missing = ['docker-registry', 'skopeo', 'openssl'].filter((program) => !has(program));
const reason = missing.length > 0 ? ` (skipped: apt-get install ${missing.join(' ')})` : '';

let dir: string;
let layout: LayoutFixture;
let registry: TestRegistry;
/** No login from the machine's own files. */
let env: NodeJS.ProcessEnv;

/** `pushLayout` with what the tests have in common. */
function push(reference: string, more: Partial<PushOptions> = {}) {
  return pushLayout({ ...options(reference), ...more });
}

function options(reference: string): PushOptions {
  const signal = new AbortController().signal;
  return { layout: layout.dir, reference, insecure: true, env, progress: silentProgress, signal };
}

async function envWith(name: string, config: unknown): Promise<NodeJS.ProcessEnv> {
  const file = path.join(dir, `${name}.json`);
  await writeFile(file, JSON.stringify(config));
  return { REGISTRY_AUTH_FILE: file, PATH: process.env.PATH };
}

async function openProxy(...settings: Parameters<typeof startProxy>) {
  const proxy = await startProxy(...settings);
  onTestFinished(proxy.stop);
  return proxy;
}

async function openRegistry(...settings: Parameters<typeof startRegistry>) {
  const opened = await startRegistry(...settings);
  onTestFinished(opened.stop);
  return opened;
}

let copies = 0;
/** Copies an image back with skopeo and compares every byte with the layout's. */
async function expectSameBack(reference: string, credentials?: string) {
  const back = path.join(dir, `back-${copies++}`);
  await run('skopeo', [
    ...['--insecure-policy', 'copy', '-q', '--all', '--preserve-digests'],
    ...['--src-tls-verify=false', ...(credentials ? ['--src-creds', credentials] : [])],
    ...[`docker://${reference}`, `oci:${back}:latest`],
  ]);
  expect(await blobsOf(back)).toEqual(await blobsOf(layout.dir));
}

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'uport-push-'));
  layout = await writeLayout(path.join(dir, 'layout'));
  env = await envWith('empty', {});
  if (missing.length === 0) registry = await startRegistry();
});
afterAll(async () => {
  await registry?.stop();
  await rm(dir, { recursive: true });
});

const uploads = (seen: readonly string[]) =>
  seen.filter((line) => /^(PUT|PATCH).*blobs/.test(line));

describe.skipIf(missing.length > 0)(`a registry without logins${reason}`, () => {
  test.each([
    ['oci-image-builder', imageBuilderTransfer],
    ['fetch', fetchTransfer],
  ] as const)('blobs through %s', async (name, transferFor) => {
    const proxy = await openProxy(registry.host);
    const reference = `${proxy.host}/through/${name}:1.0`;
    let used: string | undefined;
    const through = () =>
      pushThrough((client) => {
        const transfer = transferFor(client);
        if (!transfer) throw new Error(`${name} is not installed`);
        used = transfer.name;
        return transfer;
      }, options(reference));
    expect(await through()).toEqual({
      reference,
      digest: layout.root,
      uploadedBlobs: 11,
      mountedBlobs: 0,
      existingBlobs: 0,
      manifests: 6,
      referrers: 0,
    });
    expect(used).toBe(name);
    expect(uploads(proxy.seen)).toHaveLength(11);

    // The tag comes last, when all that it leads to is there.
    expect(proxy.seen.at(-1)).toMatch(/^PUT .*\/manifests\/1\.0$/);
    await expectSameBack(reference);

    proxy.seen.length = 0;
    expect(await through()).toMatchObject({ uploadedBlobs: 0, existingBlobs: 11, manifests: 6 });
    expect(uploads(proxy.seen)).toEqual([]);
  });

  test('index, manifests and blobs come back over HTTP as they are in the layout', async () => {
    await push(`${registry.host}/plain:1`);
    const get = async (what: string, accept: string) => {
      const answer = await fetch(`http://${registry.host}/v2/plain/${what}`, {
        headers: { accept },
      });
      expect(answer.status).toBe(200);
      return [
        answer.headers.get('content-type'),
        Buffer.from(await answer.arrayBuffer()).toString('base64'),
      ];
    };
    const all = await blobsOf(layout.dir);
    const hex = (digest: string) => digest.slice('sha256:'.length);
    const indexType = 'application/vnd.oci.image.index.v1+json';
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    expect(await get('manifests/1', indexType)).toEqual([indexType, all.get(hex(layout.root))]);
    const index = JSON.parse(Buffer.from(all.get(hex(layout.root)) ?? '', 'base64').toString());
    expect(index.manifests).toHaveLength(5);
    for (const { digest } of index.manifests) {
      expect(await get(`manifests/${digest}`, manifestType)).toEqual([
        manifestType,
        all.get(hex(digest)),
      ]);
    }
    for (const digest of layout.blobs) {
      expect((await get(`blobs/${digest}`, '*/*'))[1]).toBe(all.get(hex(digest)));
    }
  });

  test('a mount from another repository sends no blob', async () => {
    await push(`${registry.host}/mount/base:1`);
    const proxy = await openProxy(registry.host);
    const result = await push(`${proxy.host}/mount/other:1`, {
      mountFrom: ['mount/absent', 'mount/base'],
    });
    expect(result).toMatchObject({ uploadedBlobs: 0, mountedBlobs: 11, existingBlobs: 0 });
    expect(uploads(proxy.seen)).toEqual([]);
    await expectSameBack(`${registry.host}/mount/other:1`);
  });

  test('nothing to mount: the blobs are sent and no upload is left open', async () => {
    const proxy = await openProxy(registry.host);
    const result = await push(`${proxy.host}/mount/none:1`, { mountFrom: ['mount/absent'] });
    expect(result).toMatchObject({ uploadedBlobs: 11, mountedBlobs: 0 });
    expect(proxy.seen.filter((line) => line.startsWith('DELETE '))).toHaveLength(11);
  });

  test('progress counts each byte once', async () => {
    const sizes = await Promise.all(
      layout.blobs.map(async (digest) => {
        const file = path.join(layout.dir, 'blobs', 'sha256', digest.slice('sha256:'.length));
        return (await stat(file)).size;
      }),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const seen: unknown[] = [];
    let sum = 0;
    const progress = {
      start(label: string, of?: number, unit?: string) {
        seen.push(label, of, unit);
        return {
          advance(units: number) {
            sum += units;
          },
          done: () => seen.push('done'),
        };
      },
    };
    const reference = `${registry.host}/progress:1`;
    await push(reference, { progress });
    expect(seen).toEqual([`pushing ${reference}`, total, 'bytes', 'done']);
    expect(sum).toBe(total);
  });

  test('an abort in the middle of an upload ends the push with its reason', async () => {
    const controller = new AbortController();
    const proxy = await openProxy(registry.host, (request) => {
      if (request.method === 'PUT') setImmediate(() => controller.abort(new Error('enough')));
      return undefined;
    });
    await expect(push(`${proxy.host}/aborted:1`, { signal: controller.signal })).rejects.toThrow(
      'enough',
    );
    const tag = await fetch(`http://${registry.host}/v2/aborted/manifests/1`);
    expect(tag.status).toBe(404);
  });

  test('HTTPS to a port without TLS is explained', async () => {
    await expect(push(`${registry.host}/a:1`, { insecure: false })).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_TLS',
        hint: expect.stringContaining('--insecure'),
      }),
    );
  });
});

describe.skipIf(missing.length > 0)(`a bad connection${reason}`, () => {
  /** Does each mischief to the first requests that it fits. */
  function once(...list: { fits: RegExp; times: number; what: Mischief }[]) {
    const left = list.map((entry) => ({ ...entry }));
    const done = { left: () => left.reduce((sum, entry) => sum + entry.times, 0) };
    const mischief = (request: http.IncomingMessage): Mischief | undefined => {
      const line = `${request.method} ${request.url}`;
      const entry = left.find(({ fits, times }) => times > 0 && fits.test(line));
      if (!entry) return undefined;
      entry.times--;
      return entry.what;
    };
    return { mischief, ...done };
  }

  test.each([
    ['oci-image-builder', imageBuilderTransfer],
    ['fetch', fetchTransfer],
  ] as const)(
    'dropped uploads, 500, 503, 502 and 429 are survived: %s',
    async (name, transferFor) => {
      const answer = (status: number, headers = {}): Mischief => ({
        kind: 'answer',
        status,
        headers,
      });
      const { mischief, left } = once(
        { fits: /^PUT .*blobs/, times: 2, what: { kind: 'drop', after: 15_000 } },
        { fits: /^POST /, times: 2, what: answer(500) },
        { fits: /^HEAD /, times: 1, what: answer(429, { 'retry-after': '1' }) },
        { fits: /^PUT .*blobs/, times: 1, what: answer(503) },
        { fits: /^PUT .*manifests/, times: 2, what: answer(502) },
      );
      const proxy = await openProxy(registry.host, mischief);
      const reference = `${proxy.host}/chaos/${name}:1`;
      let shown = 0;
      const progress = {
        start: (_label: string, total = 0) => ({
          advance(units: number) {
            expect(units).toBeGreaterThan(0);
            shown += units;
          },
          done: () => expect(shown).toBe(total),
        }),
      };
      const result = await pushThrough(
        (client) => {
          const transfer = transferFor(client);
          if (!transfer) throw new Error(`${name} is not installed`);
          return transfer;
        },
        { ...options(reference), progress },
      );
      expect(result).toMatchObject({ uploadedBlobs: 11, digest: layout.root });
      expect(left()).toBe(0);
      await expectSameBack(reference);
    },
  );

  test('relative Locations', async () => {
    const relative = await openRegistry({ relativeUrls: true });
    const reference = `${relative.host}/relative:1`;
    for (const transferFor of [imageBuilderTransfer, fetchTransfer]) {
      const started = await fetch(`http://${relative.host}/v2/relative/blobs/uploads/`, {
        method: 'POST',
      });
      expect(started.headers.get('location')).toMatch(/^\/v2\//);
      const result = await pushThrough(
        (client) => {
          const transfer = transferFor(client);
          if (!transfer) throw new Error('oci-image-builder is not installed');
          return transfer;
        },
        { ...options(`${reference}-${transferFor.name.toLowerCase()}`) },
      );
      expect(result.digest).toBe(layout.root);
    }
  });

  test('a server that fails for good is told, not asked for ever', async () => {
    const proxy = await openProxy(registry.host, ({ method }) =>
      method === 'POST' ? { kind: 'answer', status: 500 } : undefined,
    );
    await expect(push(`${proxy.host}/dead:1`)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_UNAVAILABLE', category: 'network' }),
    );
    expect(proxy.seen.length).toBeLessThan(30);
  });
});

describe.skipIf(missing.length > 0)(`basic login${reason}`, () => {
  let guarded: TestRegistry;
  beforeAll(async () => {
    guarded = await startRegistry({ auth: 'basic' });
  });
  afterAll(() => guarded?.stop());

  const login = { username: USER, password: PASSWORD };
  const pair = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');

  test('given, from config.json, and from a helper', async () => {
    const reference = `${guarded.host}/basic:1`;
    expect(await push(reference, { credentials: login })).toMatchObject({ uploadedBlobs: 11 });
    await expectSameBack(reference, `${USER}:${PASSWORD}`);
    const fromFile = await envWith('basic', {
      auths: { [`https://${guarded.host}/v1/`]: { auth: pair } },
    });
    expect(await push(reference, { env: fromFile })).toMatchObject({ existingBlobs: 11 });

    const secret = JSON.stringify({ Username: USER, Secret: PASSWORD });
    await writeFile(
      path.join(dir, 'docker-credential-uporttest'),
      `#!/bin/sh\nread -r server; [ "$server" = ${guarded.host} ] && echo '${secret}'\n`,
      { mode: 0o755 },
    );
    const fromHelper = await envWith('helper', { credHelpers: { [guarded.host]: 'uporttest' } });
    fromHelper.PATH = `${dir}:${process.env.PATH}`;
    expect(await push(reference, { env: fromHelper })).toMatchObject({ existingBlobs: 11 });
  });

  test('missing or wrong: what to run, and no secret', async () => {
    const reference = `${guarded.host}/basic:1`;
    const hint = `run: docker login ${guarded.host}`;
    await expect(push(reference)).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_UNAUTHORIZED', hint }),
    );
    const wrong = push(reference, { credentials: { username: USER, password: 'hunter2' } });
    await expect(wrong).rejects.toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_UNAUTHORIZED', hint }),
    );
    const error = (await wrong.catch((fault) => fault)) as Error;
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain('hunter2');
  });
});

describe.skipIf(missing.length > 0)(`token login${reason}`, () => {
  let tokens: Awaited<ReturnType<typeof startTokenServer>>;
  let guarded: TestRegistry;
  beforeAll(async () => {
    const files = makeCertificate(dir);
    tokens = await startTokenServer(files);
    guarded = await startRegistry({
      auth: {
        token: {
          realm: tokens.realm,
          service: SERVICE,
          issuer: ISSUER,
          rootcertbundle: files.certificate,
        },
      },
    });
  });
  afterAll(async () => {
    await guarded?.stop();
    await tokens?.stop();
  });
  const credentials = { username: USER, password: PASSWORD };

  test('one token for the whole push', async () => {
    tokens.seen.length = 0;
    const reference = `${guarded.host}/token:1`;
    expect(await push(reference, { credentials })).toMatchObject({
      uploadedBlobs: 11,
      digest: layout.root,
    });
    expect(tokens.seen).toEqual([{ login: 'basic', scopes: ['repository:token:pull,push'] }]);
    await expectSameBack(reference);
    expect(await push(reference, { credentials })).toMatchObject({ existingBlobs: 11 });
  });

  test('identity token', async () => {
    tokens.seen.length = 0;
    const withIdentity = await envWith('identity', {
      auths: { [guarded.host]: { identitytoken: IDENTITY_TOKEN } },
    });
    expect(await push(`${guarded.host}/identity:1`, { env: withIdentity })).toMatchObject({
      uploadedBlobs: 11,
    });
    expect(tokens.seen[0]?.login).toBe('identity');
  });

  test('a mount asks for both repositories', async () => {
    await push(`${guarded.host}/base:1`, { credentials });
    tokens.seen.length = 0;
    const mounted = await push(`${guarded.host}/derived:1`, { credentials, mountFrom: ['base'] });
    expect(mounted).toMatchObject({ mountedBlobs: 11, uploadedBlobs: 0 });
    expect(tokens.seen.map(({ scopes }) => scopes)).toContainEqual([
      'repository:derived:pull,push',
      'repository:base:pull',
    ]);
  });

  test('a repository that may not be read is not mounted from', async () => {
    const result = await push(`${guarded.host}/open:1`, { credentials, mountFrom: ['private/x'] });
    expect(result).toMatchObject({ mountedBlobs: 0, uploadedBlobs: 11 });
  });

  test('tokens refused on the way are renewed', async () => {
    let refusals = 3;
    const proxy = await openProxy(guarded.host, (request) => {
      const isUpload = request.method === 'PUT' && request.headers.authorization !== undefined;
      if (!isUpload || refusals === 0) return undefined;
      refusals--;
      const challenge = `Bearer realm="${tokens.realm}",service="${SERVICE}"`;
      return { kind: 'answer', status: 401, headers: { 'www-authenticate': challenge } };
    });
    tokens.seen.length = 0;
    const result = await push(`${proxy.host}/renewed:1`, { credentials });
    expect(result).toMatchObject({ uploadedBlobs: 11 });
    expect(refusals).toBe(0);
    expect(tokens.seen.length).toBeGreaterThan(1);
  });

  test('a token that ends soon is renewed before it is refused', async () => {
    tokens.expiresIn = 0.001;
    onTestFinished(() => {
      tokens.expiresIn = 300;
    });
    tokens.seen.length = 0;
    expect(await push(`${guarded.host}/soon:1`, { credentials })).toMatchObject({
      uploadedBlobs: 11,
    });
    expect(tokens.seen.length).toBeGreaterThan(11);
  });

  test('anonymous, wrong password, and a repository without the right', async () => {
    const code = 'UPORT_REGISTRY_UNAUTHORIZED';
    const wrong = { username: USER, password: 'hunter2' };
    await expect(push(`${guarded.host}/anon:1`)).rejects.toThrow(expect.objectContaining({ code }));
    await expect(push(`${guarded.host}/anon:1`, { credentials: wrong })).rejects.toThrow(
      expect.objectContaining({ code, message: expect.not.stringContaining('hunter2') }),
    );
    await expect(push(`${guarded.host}/private/x:1`, { credentials })).rejects.toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe.skipIf(missing.length > 0)(`TLS${reason}`, () => {
  test('a private CA is trusted through NODE_EXTRA_CA_CERTS only', async () => {
    const tls = makeCertificate(dir);
    const secure = await openRegistry({ tls });
    const child = path.join(import.meta.dirname, 'testing', 'push-child.ts');
    const pushInChild = async (extra: NodeJS.ProcessEnv) => {
      const { stdout } = await run(
        process.execPath,
        ['--experimental-strip-types', child, layout.dir, `${secure.host}/tls:1`],
        { env: { ...env, ...extra } },
      );
      return JSON.parse(stdout);
    };
    expect(await pushInChild({})).toMatchObject({
      code: 'UPORT_REGISTRY_TLS',
      hint: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
    expect(await pushInChild({ NODE_EXTRA_CA_CERTS: tls.certificate })).toMatchObject({
      digest: layout.root,
      uploadedBlobs: 11,
    });
    await expectSameBack(`${secure.host}/tls:1`);
    await expect(push(`${secure.host}/tls:1`)).rejects.toThrow(
      expect.objectContaining({ hint: 'the registry speaks TLS: leave --insecure away' }),
    );
  });
});
