// Emulators that Nix built: `qemu-user` of nixpkgs, out of a store, a closure or a binary cache.
import { existsSync } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Arch } from '../model/arch.ts';
import type { BytePath, FileEntry, PayloadEntry } from '../model/payload-tree.ts';
import { silentProgress } from '../model/progress.ts';
import { resolveEntry } from '../model/resolve-entry.ts';
import { formatNixHash, hashStream } from '../nix/hash.ts';
import { payloadNarNode } from '../nix/nar-sources.ts';
import { writeNar } from '../nix/nar-writer.ts';
import { DEFAULT_TRUSTED_KEYS, parseNixPublicKey } from '../nix/public-key.ts';
import { openCache } from '../nix-cache/open-cache.ts';
import { cacheStore } from '../nix-closure/cache-store.ts';
import { folderStore } from '../nix-closure/folder-store.ts';
import { type NixInput, nixInput } from '../nix-closure/nix-input.ts';
import type { NixStore } from '../nix-closure/nix-store.ts';
import { type NixClosure, readClosure } from '../nix-closure/read-closure.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import {
  chooseEmulator,
  type EmulatorCandidate,
  emulatorNames,
  pinEmulator,
} from './choose-emulator.ts';
import type { EmulatorProvider, ProviderContext } from './provider.ts';

/** Where Nix puts what a user or the system has installed. */
const PROFILES = (home: string) => [
  path.join(home, '.nix-profile'),
  path.join(home, '.local/state/nix/profile'),
  '/run/current-system/sw',
  '/nix/var/nix/profiles/default',
];

/**
 * Static builds in the `bin` folders of a store path and of what it refers to.
 *
 * @param source a store path or a link to one, such as `./result`; or `CACHE#STORE-PATH` with the
 *   address of a binary cache. None: what is installed in the user's and the system's profiles.
 */
export function nixProvider(source: string | undefined): EmulatorProvider {
  // What was read for one host serves the others.
  const opened: Opened = new Map();
  return {
    name: source === undefined ? 'nix' : `nix:${withoutSecrets(source)}`,
    async find(guest, host, context) {
      if (source === undefined) {
        return find(await openInstalled(guest, host, opened, context), guest, host, context);
      }
      return find(
        [await once(opened, source, () => openClosure(source, context))],
        guest,
        host,
        context,
      );
    },
  };
}

/** Closures by what they were opened for. */
type Opened = Map<string, Promise<NixClosure>>;

function once(opened: Opened, key: string, open: () => Promise<NixClosure>): Promise<NixClosure> {
  const closure = opened.get(key) ?? open();
  opened.set(key, closure);
  return closure;
}

/** A cache's address may hold a password, or a token in its query. */
function withoutSecrets(source: string): string {
  return source.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^#]*@/i, '$1').replace(/\?[^#]*/, '');
}

/**
 * The store objects that profiles link to by an emulator's name, each alone: a profile's whole closure
 * is all that is installed.
 */
async function openInstalled(
  guest: Arch,
  host: Arch,
  opened: Opened,
  context: ProviderContext,
): Promise<readonly NixClosure[]> {
  const present = PROFILES(homedir()).filter((each) => existsSync(each));
  if (present.length === 0) {
    throw new UportError({
      code: 'UPORT_EMULATOR_FOLDER_MISSING',
      category: 'usage',
      message: 'there is no Nix profile on this machine',
      hint: 'name a store path: nix build nixpkgs#pkgsStatic.qemu-user, then --emulators nix:./result',
    });
  }
  const objects = new Map<string, NixInput>();
  for (const profile of present) {
    for (const file of await emulatorFiles(profile, emulatorNames(guest, host))) {
      const input = nixInput(await realpath(path.join(profile, file)));
      if (input?.root !== undefined) objects.set(`${input.root} ${input.storePath}`, input);
    }
  }
  return Promise.all(
    [...objects].map(([key, input]) => once(opened, key, () => openAlone(input, context))),
  );
}

async function openAlone(
  { root = '/', storePath }: NixInput,
  context: ProviderContext,
): Promise<NixClosure> {
  const task = (context.progress ?? silentProgress).start(
    `Reading ${storePath}`,
    undefined,
    'bytes',
  );
  try {
    const { store, signal } = context;
    return await readClosure(storePath, alone(await folderStore(root)), { store, task, signal });
  } finally {
    task.done();
  }
}

/** A store whose objects need no others: static programs do not. */
function alone(store: NixStore): NixStore {
  return {
    name: store.name,
    read: async (storePath, context) => ({
      ...(await store.read(storePath, context)),
      references: [],
    }),
  };
}

/** Files of these names in `bin` and in the `bin` of each host's folder, in a fixed order. */
async function emulatorFiles(
  profile: string,
  names: ReadonlySet<string>,
): Promise<readonly string[]> {
  const tops = await readdir(profile).catch(() => []);
  const folders = ['bin', ...tops.sort().map((top) => path.join(top, 'bin'))];
  const found: string[] = [];
  for (const folder of folders) {
    for (const name of names) {
      const status = await stat(path.join(profile, folder, name)).catch(() => undefined);
      if (status?.isFile()) found.push(path.join(folder, name));
    }
  }
  return found;
}

async function openClosure(source: string, context: ProviderContext): Promise<NixClosure> {
  const task = (context.progress ?? silentProgress).start(
    `Reading ${withoutSecrets(source)}`,
    undefined,
    'bytes',
  );
  try {
    const hash = source.indexOf('#');
    const address = hash < 0 ? undefined : source.slice(0, hash);
    const input = nixInput(source.slice(hash + 1), address);
    if (input === undefined) throw noStorePath(source);
    const store =
      address === undefined
        ? await folderStore(input.root ?? '/')
        : cacheStore(await openCache(address), DEFAULT_TRUSTED_KEYS.map(parseNixPublicKey));
    const { signal } = context;
    return await readClosure(input.storePath, store, { store: context.store, task, signal });
  } finally {
    task.done();
  }
}

async function find(
  closures: readonly NixClosure[],
  guest: Arch,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedEmulator | undefined> {
  const names = emulatorNames(guest, host);
  const files = closures.flatMap((closure) => candidates(closure, names));
  const found = await chooseEmulator(files, guest, host, context.signal, (fault, { shown }) =>
    fault.code === 'UPORT_EMULATOR_NOT_STATIC' ? notStatic(fault, shown) : fault,
  );
  if (found === undefined) return undefined;
  const { closure, file } = found.chosen;
  const [, , name] = file.path.split('/') as [string, string, string];
  const origin = {
    provider: 'nix',
    storePath: `/nix/store/${name}`,
    narHash: await narHash(closure, name, context.signal),
    file: file.path.split('/').slice(3).join('/'),
  } as const;
  return pinEmulator(found, guest, host, origin, context, file.digest);
}

interface NixCandidate extends EmulatorCandidate {
  readonly file: FileEntry;
  readonly closure: NixClosure;
}

/** Files in `bin` folders, links followed, each once. */
function candidates(closure: NixClosure, names: ReadonlySet<string>): readonly NixCandidate[] {
  const { scan } = closure;
  const entries = new Map(scan.entries.map((entry) => [entry.path, entry]));
  const found = new Map<BytePath, NixCandidate>();
  for (const entry of scan.entries) {
    const parts = entry.path.split('/');
    if (parts.length < 5 || parts.at(-2) !== 'bin' || !names.has(parts.at(-1) as string)) continue;
    const file = resolveEntry(entries, entry.path);
    const place = file?.type === 'file' ? scan.files.get(file.digest) : undefined;
    if (file?.type === 'file' && place !== undefined) {
      const shown = `/${file.path}`;
      found.set(file.path, { place: place.toString(), shown, file, closure });
    }
  }
  return [...found.values()];
}

/** The hash of a store path's NAR, made from what was read of it. */
async function narHash(closure: NixClosure, name: string, signal: AbortSignal): Promise<string> {
  const prefix = `nix/store/${name}/`;
  const entries = closure.scan.entries
    .filter((entry) => entry.path.startsWith(prefix))
    .map((entry) => ({ ...entry, path: entry.path.slice(prefix.length) }) as PayloadEntry);
  const content = { locate: (digest: FileEntry['digest']) => closure.scan.files.get(digest) };
  const { hash } = await hashStream(writeNar(payloadNarNode({ entries }, content), { signal }));
  return formatNixHash(hash, 'sri');
}

function notStatic(cause: UportError, file: string): UportError {
  return new UportError({
    code: 'UPORT_EMULATOR_NOT_STATIC',
    category: 'input',
    message: `${cause.message}, which another host does not have`,
    hint: 'nixpkgs#qemu-user is dynamic: build nixpkgs#pkgsStatic.qemu-user, for other hosts nixpkgs#pkgsCross.CPU.pkgsStatic.qemu-user',
    file,
  });
}

function noStorePath(source: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_STORE_PATH_INVALID',
    category: 'usage',
    message: `${JSON.stringify(withoutSecrets(source).slice(0, 300))} is not a store path or a link to one`,
    hint: 'write nix:./result, nix:/nix/store/…, or nix:file:///CACHE#/nix/store/…',
  });
}
