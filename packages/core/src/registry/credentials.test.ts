import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findCredentials } from './credentials.ts';
import { parseReference } from './reference.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'uport-credentials-'));
});
afterEach(() => rm(dir, { recursive: true }));

const auth = (pair: string) => ({ auth: Buffer.from(pair).toString('base64') });
const password = (pair: string) => {
  const [username, word] = pair.split(/:(.*)/s);
  return { kind: 'password', username, password: word };
};

async function find(config: unknown, reference: string, env: NodeJS.ProcessEnv = {}) {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  await writeFile(path.join(dir, 'config.json'), text);
  const signal = new AbortController().signal;
  return findCredentials(parseReference(reference), { DOCKER_CONFIG: dir, ...env }, signal);
}

/** A credential helper that answers from a shell script. */
async function helper(name: string, script: string): Promise<NodeJS.ProcessEnv> {
  const file = path.join(dir, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { PATH: `${dir}:${process.env.PATH}` };
}

describe('auths', () => {
  test.each([
    ['host.example:5000'],
    ['https://host.example:5000'],
    ['http://host.example:5000/'],
    ['https://host.example:5000/v1/'],
    ['https://host.example:5000/v2/'],
    ['HOST.example:5000'],
  ])('key %s', async (key) => {
    const found = await find({ auths: { [key]: auth('me:pa:ss') } }, 'host.example:5000/a/b:1');
    expect(found).toEqual(password('me:pa:ss'));
  });

  test.each([['https://index.docker.io/v1/'], ['docker.io'], ['index.docker.io']])(
    'Docker Hub under %s',
    async (key) => {
      expect(await find({ auths: { [key]: auth('me:x') } }, 'docker.io/a/b:1')).toEqual(
        password('me:x'),
      );
    },
  );

  test('the longest namespace wins', async () => {
    const auths = {
      'h.example': auth('a:1'),
      'h.example/t': auth('b:2'),
      'h.example/t/u': auth('c:3'),
    };
    expect(await find({ auths }, 'h.example/t/u/app:1')).toEqual(password('c:3'));
    expect(await find({ auths }, 'h.example/t/app:1')).toEqual(password('b:2'));
    expect(await find({ auths }, 'h.example/app:1')).toEqual(password('a:1'));
  });

  test('another port or host gets nothing', async () => {
    const auths = { 'h.example': auth('a:1'), 'h.example:81': auth('b:2') };
    expect(await find({ auths }, 'h.example:80/app:1')).toBeUndefined();
    expect(await find({ auths }, 'x.h.example/app:1')).toBeUndefined();
    expect(await find({ auths: {} }, 'constructor.example/app:1')).toBeUndefined();
  });

  test('identity token, registry token, separate fields, empty entry', async () => {
    const at = (entry: unknown) => find({ auths: { 'h.example': entry } }, 'h.example/app:1');
    expect(await at({ ...auth('00:'), identitytoken: 'idt' })).toEqual({
      kind: 'identity',
      token: 'idt',
    });
    expect(await at({ registrytoken: 'rt' })).toEqual({ kind: 'bearer', token: 'rt' });
    expect(await at({ username: 'u', password: 'p' })).toEqual(password('u:p'));
    expect(await at({})).toBeUndefined();
  });

  test('a broken entry is told without its text', async () => {
    const secret = Buffer.from('no-colon-hunter2').toString('base64');
    await expect(
      find({ auths: { 'h.example': { auth: secret } } }, 'h.example/a:1'),
    ).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_CREDENTIALS',
        message: expect.not.stringMatching(/hunter2|bm8tY29/),
      }),
    );
  });
});

describe('files', () => {
  test('no file is no login', async () => {
    const signal = new AbortController().signal;
    const reference = parseReference('h.example/a:1');
    expect(await findCredentials(reference, { HOME: dir }, signal)).toBeUndefined();
  });

  test('REGISTRY_AUTH_FILE is the only one, and must be there', async () => {
    const file = path.join(dir, 'auth.json');
    await writeFile(file, JSON.stringify({ auths: { 'h.example': auth('podman:1') } }));
    const config = { auths: { 'h.example': auth('docker:1') } };
    const env = { REGISTRY_AUTH_FILE: file };
    expect(await find(config, 'h.example/a:1', env)).toEqual(password('podman:1'));
    await expect(
      find(config, 'h.example/a:1', { REGISTRY_AUTH_FILE: `${file}.no` }),
    ).rejects.toThrow(/ENOENT/);
  });

  test('Podman’s file comes before Docker’s', async () => {
    await mkdir(path.join(dir, 'containers'));
    await mkdir(path.join(dir, '.docker'));
    const write = (file: string, auths: unknown) =>
      writeFile(path.join(dir, file), JSON.stringify({ auths }));
    await write('containers/auth.json', { 'h.example': auth('podman:1') });
    await write('.docker/config.json', {
      'h.example': auth('docker:1'),
      'i.example': auth('docker:2'),
    });
    const env = { HOME: dir, XDG_RUNTIME_DIR: dir };
    const signal = new AbortController().signal;
    const at = (text: string) => findCredentials(parseReference(text), env, signal);
    expect(await at('h.example/a:1')).toEqual(password('podman:1'));
    expect(await at('i.example/a:1')).toEqual(password('docker:2'));
  });

  test.each([['{"auths": hunter2'], ['[]'], ['"x"']])('%s is refused, not shown', async (text) => {
    await expect(find(text, 'h.example/a:1')).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_CREDENTIALS',
        file: path.join(dir, 'config.json'),
        message: expect.not.stringContaining('hunter2'),
      }),
    );
  });
});

describe('helpers', () => {
  const good = `
    [ "$*" = get ] || exit 9
    read -r server
    printf '{"ServerURL":"%s","Username":"%s","Secret":"s3"}' "$server" "$server"`;

  test('credHelpers of the registry, asked by its name', async () => {
    const env = await helper('mine', good);
    const config = { credHelpers: { 'h.example:80': 'mine' }, credsStore: 'absent' };
    expect(await find(config, 'h.example:80/a:1', env)).toEqual({
      kind: 'password',
      username: 'h.example:80',
      password: 's3',
    });
  });

  test('credsStore; Docker Hub by its old address', async () => {
    const env = await helper('all', good);
    expect(await find({ credsStore: 'all' }, 'docker.io/me/a:1', env)).toEqual({
      kind: 'password',
      username: 'https://index.docker.io/v1/',
      password: 's3',
    });
  });

  test('nothing stored: on to auths', async () => {
    const env = await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    const auths = { 'h.example': auth('a:1') };
    const config = { credsStore: 'empty', auths };
    expect(await find(config, 'h.example/a:1', env)).toEqual(password('a:1'));
  });

  test('<token> is an identity token', async () => {
    const env = await helper('token', `echo '{"Username":"<token>","Secret":"idt"}'`);
    expect(await find({ credsStore: 'token' }, 'h.example/a:1', env)).toEqual({
      kind: 'identity',
      token: 'idt',
    });
  });

  test.each([
    ['failing', 'echo hunter2; echo hunter2 >&2; exit 3', /status 3/],
    ['chatty', 'echo "hunter2 {"', /JSON/],
    ['huge', 'head -c 3000000 /dev/zero; echo hunter2', /1 MiB/],
    ['killed', 'kill -9 $$', /SIGKILL/],
  ])('%s: an error without its output', async (name, script, message) => {
    const env = await helper(name, script);
    const failure = find({ credsStore: name }, 'h.example/a:1', env);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toThrow(
      expect.objectContaining({
        code: 'UPORT_REGISTRY_CREDENTIALS',
        message: expect.not.stringContaining('hunter2'),
      }),
    );
  });

  test('absent, or with a name for a shell', async () => {
    await expect(find({ credsStore: 'absent' }, 'h.example/a:1', { PATH: dir })).rejects.toThrow(
      'docker-credential-absent is not in PATH',
    );
    for (const name of ['../x', 'a b', 'a;b', '$(a)', '-x']) {
      await expect(find({ credsStore: name }, 'h.example/a:1')).rejects.toThrow(/name has other/);
    }
  });
});
