import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { registryFault } from './faults.ts';
import type { ImageReference } from './reference.ts';

/** What proves who the user is. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, which Docker calls identity token. */
  | { readonly kind: 'identity'; readonly token: string }
  /** A bearer token that is sent as it is. */
  | { readonly kind: 'bearer'; readonly token: string };

const LARGEST_FILE = 4 << 20;
const LARGEST_ANSWER = 1 << 20;
const HELPER_TIME = 120_000;
const HUB_KEY = 'https://index.docker.io/v1/';

/**
 * Finds the credentials for a repository as Docker and Podman do. `REGISTRY_AUTH_FILE` or else
 * `DOCKER_CONFIG` names the only file read; else `$XDG_RUNTIME_DIR/containers/auth.json` and
 * `~/.docker/config.json` are read in this order. In each file `credHelpers` comes first, then
 * `credsStore`, then `auths`.
 *
 * @throws UportError UPORT_REGISTRY_CREDENTIALS
 */
export async function findCredentials(
  reference: ImageReference,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  for (const { file, required } of configFiles(env)) {
    const config = await readConfig(file, required);
    if (!config) continue;
    const found = await fromConfig(config, file, reference, env, signal);
    if (found) return found;
  }
  return undefined;
}

function configFiles(env: NodeJS.ProcessEnv): { file: string; required: boolean }[] {
  if (env.REGISTRY_AUTH_FILE) return [{ file: env.REGISTRY_AUTH_FILE, required: true }];
  if (env.DOCKER_CONFIG) {
    return [{ file: path.join(env.DOCKER_CONFIG, 'config.json'), required: false }];
  }
  const files: { file: string; required: boolean }[] = [];
  if (env.XDG_RUNTIME_DIR) {
    files.push({
      file: path.join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json'),
      required: false,
    });
  }
  files.push({
    file: path.join(env.HOME || homedir(), '.docker', 'config.json'),
    required: false,
  });
  return files;
}

type Json = { readonly [key: string]: unknown };

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own string property, so that a host named `constructor` finds nothing. */
function textAt(object: Json, key: string): string | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

async function readConfig(file: string, required: boolean): Promise<Json | undefined> {
  // Neither the file's text nor a parser's message is shown: both may hold secrets.
  const fail = (what: string, hint: string) =>
    registryFault('UPORT_REGISTRY_CREDENTIALS', what, hint, { file });
  let text: string;
  try {
    const info = await stat(file);
    if (!info.isFile() || info.size > LARGEST_FILE) {
      throw fail('the credentials file is no ordinary file of at most 4 MiB', 'name another file');
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code?.startsWith('UPORT_')) throw error;
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw fail(
      `the credentials file cannot be read (${code ?? 'unknown reason'})`,
      'make it readable, or unset REGISTRY_AUTH_FILE and DOCKER_CONFIG',
    );
  }
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    config = undefined;
  }
  if (isObject(config)) return config;
  throw fail(
    'the credentials file is not a JSON object',
    'mend it, or remove it and use `docker login` again',
  );
}

async function fromConfig(
  config: Json,
  file: string,
  reference: ImageReference,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const isHub = reference.registry === 'docker.io';
  const hosts = isHub
    ? [HUB_KEY, 'docker.io', 'index.docker.io', 'registry-1.docker.io']
    : [reference.registry];
  const helpers = isObject(config.credHelpers) ? config.credHelpers : {};
  for (const host of hosts) {
    const helper = textAt(helpers, host);
    if (!helper) continue;
    const found = await askHelper(helper, host, env, signal);
    if (found) return found;
  }
  const store = textAt(config, 'credsStore');
  if (store) {
    const found = await askHelper(store, isHub ? HUB_KEY : reference.registry, env, signal);
    if (found) return found;
  }
  const auths = isObject(config.auths) ? config.auths : {};
  const entries = new Map<string, Json>();
  for (const [key, value] of Object.entries(auths)) {
    const name = normalKey(key);
    if (isObject(value) && (key === name || !entries.has(name))) entries.set(name, value);
  }
  for (const key of authKeys(reference)) {
    const entry = entries.get(key);
    const found = entry && readEntry(entry, file);
    if (found) return found;
  }
  return undefined;
}

/** `https://host/v1/` and other legacy spellings, as `host`; `host/namespace` stays. */
function normalKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, '').replace(/\/(?:v[12]\/?)?$/, '');
  const slash = bare.indexOf('/');
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  const isHub = host === 'index.docker.io' || host === 'registry-1.docker.io';
  return `${isHub ? 'docker.io' : host}${slash < 0 ? '' : bare.slice(slash)}`;
}

/** Podman's namespaced keys, longest first, then the registry itself. */
function authKeys(reference: ImageReference): string[] {
  const parts = [reference.registry, ...reference.repository.split('/')];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

function readEntry(entry: Json, file: string): Credentials | undefined {
  const bearer = textAt(entry, 'registrytoken');
  if (bearer) return { kind: 'bearer', token: bearer };
  const identity = textAt(entry, 'identitytoken');
  if (identity) return { kind: 'identity', token: identity };
  const auth = textAt(entry, 'auth');
  if (auth) {
    // Docker pads with NUL in old files.
    const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = text.indexOf(':');
    if (colon > 0) {
      return {
        kind: 'password',
        username: text.slice(0, colon),
        password: text.slice(colon + 1),
      };
    }
    throw registryFault(
      'UPORT_REGISTRY_CREDENTIALS',
      'an auth entry is not base64 of USER:PASSWORD',
      'use `docker login` again',
      { file },
    );
  }
  const username = textAt(entry, 'username');
  const password = textAt(entry, 'password');
  return username && password ? { kind: 'password', username, password } : undefined;
}

/** Runs `docker-credential-NAME get`, as Docker's credential helper protocol says. */
async function askHelper(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const fail = (what: string) =>
    registryFault(
      'UPORT_REGISTRY_CREDENTIALS',
      what,
      'log in again, or remove the helper from credsStore or credHelpers in Docker’s config.json',
    );
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw fail('a credential helper’s name has other characters than letters, digits, . _ -');
  }
  const { status, output } = await runHelper(program, server, env, signal, fail);
  if (status !== 0) {
    // The protocol's only sign for "nothing stored".
    if (/credentials not found/i.test(output)) return undefined;
    throw fail(`${program} failed with status ${status}`);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    answer = undefined;
  }
  const username = isObject(answer) ? textAt(answer, 'Username') : undefined;
  const secret = isObject(answer) ? textAt(answer, 'Secret') : undefined;
  if (!secret) {
    if (isObject(answer) && answer.Secret === '') return undefined;
    throw fail(`${program} did not answer with a JSON object holding Username and Secret`);
  }
  if (username === '<token>') return { kind: 'identity', token: secret };
  if (!username) throw fail(`${program} answered without a Username`);
  return { kind: 'password', username, password: secret };
}

function runHelper(
  program: string,
  server: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  fail: (what: string) => Error,
): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
      signal,
      timeout: HELPER_TIME,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > LARGEST_ANSWER) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason);
      else if (error.code === 'ENOENT') reject(fail(`${program} is not in PATH`));
      else reject(fail(`${program} cannot be run (${error.code ?? 'unknown reason'})`));
    });
    child.on('close', (status, killer) => {
      if (signal.aborted) reject(signal.reason);
      else if (size > LARGEST_ANSWER) reject(fail(`${program} answered with more than 1 MiB`));
      else if (status === null) reject(fail(`${program} was ended by ${killer}`));
      else resolve({ status, output: Buffer.concat(chunks).toString('utf8') });
    });
    // A helper that never reads its input must not end this process with EPIPE.
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${server}\n`);
  });
}
