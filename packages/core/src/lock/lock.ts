// uport.lock: every emulator, package and launcher of a build, pinned. Format: docs/formats/lock.md.
import { UportError } from '@uport/errors';
import { isFileName } from '@uport/launcher';
import { parseDigest } from '../model/digest.ts';
import type {
  EmulatorOrigin,
  PinnedEmulator,
  PinnedFile,
  PinnedPackage,
  PinnedTranslator,
  Plan,
  TranslatorFile,
} from '../plan/plan.ts';

export const LOCK_NAME = 'uport.lock';

const MAX_SIZE = 16 << 20;
const MAX_ENTRIES = 100_000;

/** A package whose files are in an app. */
export interface LockedPackage extends PinnedFile {
  readonly version: string;
  readonly suite: string;
  readonly sourcePackage: string;
  readonly sourceVersion: string;
  /** The .deb, relative to the mirror. */
  readonly path: string;
}

export interface LockedEmulator extends PinnedFile {
  readonly kind: PinnedEmulator['kind'];
  readonly version: string;
  readonly origin: EmulatorOrigin;
  /** Of the package's own file, where what travels was made of it. */
  readonly preparedFrom?: PinnedEmulator['digest'];
}

/** An existing image that an app is made of. */
export interface LockedImage extends PinnedFile {
  /** As the configuration names it. */
  readonly source: string;
}

/** An emulator other than QEMU; digest and size are its program's. */
export interface LockedTranslator
  extends PinnedFile,
    Omit<PinnedTranslator, 'host' | 'guest' | 'packages'> {
  readonly packages: readonly PinnedPackage[];
}

/** Each map by what identifies an entry, in bytewise order. */
export interface Lock {
  readonly version: 1;
  /** By host. */
  readonly launchers: ReadonlyMap<string, PinnedFile>;
  /** By `emulatorKey`. */
  readonly emulators: ReadonlyMap<string, LockedEmulator>;
  /** By `translatorKey`. */
  readonly translators: ReadonlyMap<string, LockedTranslator>;
  /** By app, then `NAME:ARCHITECTURE`. */
  readonly packages: ReadonlyMap<string, ReadonlyMap<string, LockedPackage>>;
  /** By app. */
  readonly images: ReadonlyMap<string, LockedImage>;
}

export const EMPTY_LOCK: Lock = Object.freeze({
  version: 1,
  launchers: new Map(),
  emulators: new Map(),
  translators: new Map(),
  packages: new Map(),
  images: new Map(),
});

/** `qemu-x86_64 on aarch64 from debian`. */
export function emulatorKey(guest: string, host: string, sources: readonly string[]): string {
  return `${guest} on ${host} from ${sources.join(' ')}`;
}

/** `box64 of x86_64 on aarch64 from debian`. */
export function translatorKey(
  kind: string,
  guest: string,
  host: string,
  sources: readonly string[],
): string {
  return `${kind} of ${emulatorKey(guest, host, sources)}`;
}

/** Launchers and emulators of hosts, as they stand in a lock. */
export function lockOfHosts(
  hosts: readonly {
    readonly host: string;
    readonly launcher?: PinnedFile;
    readonly emulator?: PinnedEmulator;
    readonly translator?: PinnedTranslator;
  }[],
  sources: readonly string[],
): Lock {
  const launchers = new Map<string, PinnedFile>();
  const emulators = new Map<string, LockedEmulator>();
  for (const { host, launcher, emulator } of hosts) {
    if (launcher) launchers.set(host, pinOf(launcher));
    if (!emulator) continue;
    const { kind, version, digest, size, origin, guest, preparedFrom } = emulator;
    emulators.set(emulatorKey(guest, host, sources), {
      kind,
      version,
      digest,
      size,
      origin,
      ...(preparedFrom && { preparedFrom }),
    });
  }
  const translators = new Map<string, LockedTranslator>();
  for (const { translator } of hosts) {
    if (translator === undefined) continue;
    const { host: name, guest, ...rest } = translator;
    const program = rest.files.find((file) => file.name === rest.kind);
    if (program === undefined) throw new TypeError(`${rest.kind} has no program`);
    translators.set(translatorKey(rest.kind, guest, name, sources), { ...pinOf(program), ...rest });
  }
  return { ...EMPTY_LOCK, launchers, emulators, translators };
}

/** What a plan has pinned, as it stands in a lock. */
export function lockOfPlan(plan: Plan, app: string, sources: readonly string[]): Lock {
  const packages = new Map<string, LockedPackage>();
  for (const each of plan.packages ?? []) {
    const { name, architecture, version, suite, sourcePackage, sourceVersion, path } = each;
    const { digest, size } = each;
    packages.set(`${name}:${architecture}`, {
      version,
      suite,
      sourcePackage,
      sourceVersion,
      path,
      digest,
      size,
    });
  }
  return {
    ...lockOfHosts(plan.hosts, sources),
    packages: packages.size > 0 ? new Map([[app, packages]]) : new Map(),
  };
}

function pinOf({ digest, size }: PinnedFile): PinnedFile {
  return { digest, size };
}

export function mergeLocks(locks: readonly Lock[]): Lock {
  return {
    version: 1,
    launchers: new Map(locks.flatMap((lock) => [...lock.launchers])),
    emulators: new Map(locks.flatMap((lock) => [...lock.emulators])),
    translators: new Map(locks.flatMap((lock) => [...lock.translators])),
    packages: new Map(locks.flatMap((lock) => [...lock.packages])),
    images: new Map(locks.flatMap((lock) => [...lock.images])),
  };
}

/** JSON with sorted keys, one value a line, so that two changes seldom touch the same line. */
export function encodeLock(lock: Lock): string {
  const value = {
    version: lock.version,
    launchers: sorted(lock.launchers),
    emulators: sorted(lock.emulators),
    ...(lock.translators.size > 0 && { translators: sorted(lock.translators) }),
    packages: sorted(new Map([...lock.packages].map(([app, list]) => [app, sorted(list)]))),
    ...(lock.images.size > 0 && { images: sorted(lock.images) }),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function sorted(map: ReadonlyMap<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    [...map]
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, value]) => [key, sortedKeys(value)]),
  );
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, sortedKeys(each)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One entry that two locks do not agree about. */
export interface LockChange {
  /** Such as `qemu-x86_64 for aarch64` or `libc6:arm64 of app`. */
  readonly what: string;
  /** Versions with digests; undefined on the side that has none. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export function compareLocks(from: Lock, to: Lock): readonly LockChange[] {
  const apps = new Set([...from.packages.keys(), ...to.packages.keys()]);
  return [
    ...compare(from.emulators, to.emulators, (key) => emulatorName(key)),
    ...compare(from.translators, to.translators, (key) => key.replace(/ from .*/s, '')),
    ...[...apps].flatMap((app) =>
      compare(
        from.packages.get(app) ?? new Map(),
        to.packages.get(app) ?? new Map(),
        (key) => `${key} of ${app}`,
      ),
    ),
    ...compare(from.images, to.images, (app) => `the image of ${app}`),
    ...compare(from.launchers, to.launchers, (key) => `the launcher for ${key}`),
  ];
}

function emulatorName(key: string): string {
  const [, guest, host] = /^(\S+) on (\S+) from /.exec(key) ?? [];
  return guest === undefined ? key : `the emulator of ${guest} for ${host}`;
}

interface Entry extends PinnedFile {
  readonly version?: string;
  readonly source?: string;
}

function compare(
  from: ReadonlyMap<string, Entry>,
  to: ReadonlyMap<string, Entry>,
  name: (key: string) => string,
): readonly LockChange[] {
  const keys = [...new Set([...from.keys(), ...to.keys()])].sort();
  return keys.flatMap((key): LockChange[] => {
    const [before, after] = [from.get(key), to.get(key)];
    if (JSON.stringify(sortedKeys(before)) === JSON.stringify(sortedKeys(after))) return [];
    return [{ what: name(key), from: shown(before), to: shown(after) }];
  });
}

function shown(entry: Entry | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const what = entry.version ?? entry.source;
  return what === undefined ? entry.digest : `${what} (${entry.digest})`;
}

/** `libc6:arm64 of app: 2.36-9 (sha256:…) → 2.36-10 (sha256:…)`. */
export function describeChange({ what, from, to }: LockChange): string {
  if (from === undefined) return `${what}: new, ${to}`;
  return to === undefined ? `${what}: no longer needed, was ${from}` : `${what}: ${from} → ${to}`;
}

/**
 * Reads a lock.
 *
 * @throws UportError UPORT_LOCK_INVALID
 */
export function parseLock(text: string): Lock {
  if (text.length > MAX_SIZE) throw invalid('it has more than 16 MiB');
  if (/^(?:<<<<<<<|>>>>>>>) /m.test(text)) throw invalid('it has merge conflicts');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'it is no JSON');
  }
  const top = objectOf(value, 'it');
  if (top.version !== 1) throw invalid(`its version is ${JSON.stringify(top.version)}, not 1`);
  return {
    version: 1,
    launchers: mapOf(top.launchers, 'launchers', readPin),
    emulators: mapOf(top.emulators, 'emulators', readEmulator),
    translators: mapOf(top.translators, 'translators', readTranslator),
    packages: mapOf(top.packages, 'packages', (list, where) => mapOf(list, where, readPackage)),
    images: mapOf(top.images, 'images', readImage),
  };
}

function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${where} is no object`);
  }
  return value as Record<string, unknown>;
}

function mapOf<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): ReadonlyMap<string, T> {
  const entries = Object.entries(objectOf(value ?? {}, where));
  if (entries.length > MAX_ENTRIES) throw invalid(`${where} has too many entries`);
  return new Map(
    entries.map(([key, each]) => [key, read(each, `${where} ${JSON.stringify(key)}`)]),
  );
}

function readPin(value: unknown, where: string): PinnedFile {
  const { digest, size } = objectOf(value, where);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where} has no size`);
  }
  return { digest: digestOf(digest, where), size };
}

function digestOf(value: unknown, where: string): PinnedFile['digest'] {
  try {
    return parseDigest(typeof value === 'string' ? value : '');
  } catch {
    throw invalid(`${where} has no sha256 digest`);
  }
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string, where: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '' && value.length < 4096) return value;
  throw invalid(`${where} has no ${name}`);
}

/** Relative to the mirror: it must not lead elsewhere. */
function poolPath(value: string, where: string): string {
  const parts = value.split('/');
  if (/^pool\/[!-~]+$/.test(value) && !parts.includes('..') && !parts.includes('')) return value;
  throw invalid(`${where} has a path outside the archive's pool`);
}

function readPackage(value: unknown, where: string): LockedPackage {
  const fields = objectOf(value, where);
  return {
    ...readPin(value, where),
    version: textOf(fields, 'version', where),
    suite: textOf(fields, 'suite', where),
    sourcePackage: textOf(fields, 'sourcePackage', where),
    sourceVersion: textOf(fields, 'sourceVersion', where),
    path: poolPath(textOf(fields, 'path', where), where),
  };
}

function readImage(value: unknown, where: string): LockedImage {
  return { ...readPin(value, where), source: textOf(objectOf(value, where), 'source', where) };
}

function readEmulator(value: unknown, where: string): LockedEmulator {
  const fields = objectOf(value, where);
  const { kind, preparedFrom } = fields;
  if (kind !== 'qemu') throw invalid(`${where} is of a kind that is not known`);
  return {
    ...readPin(value, where),
    kind,
    version: textOf(fields, 'version', where),
    origin: readOrigin(fields.origin, where),
    ...(preparedFrom !== undefined && { preparedFrom: digestOf(preparedFrom, where) }),
  };
}

const MAX_FILES = 64;

function readTranslator(value: unknown, where: string): LockedTranslator {
  const fields = objectOf(value, where);
  if (fields.kind !== 'box64') throw invalid(`${where} is of a kind that is not known`);
  return {
    ...readPin(value, where),
    kind: fields.kind,
    version: textOf(fields, 'version', where),
    loader: textOf(fields, 'loader', where),
    files: listOf(fields.files, `the files of ${where}`, readTranslatorFile),
    packages: listOf(fields.packages, `the packages of ${where}`, (each, at) => {
      const { version, suite, sourcePackage, sourceVersion, path, digest, size } = readPackage(
        each,
        at,
      );
      const own = objectOf(each, at);
      // In the order of a plan that was made without a lock: its file is to have the same bytes.
      return {
        name: textOf(own, 'name', at),
        version,
        architecture: textOf(own, 'architecture', at),
        ...{ suite, sourcePackage, sourceVersion, path, digest, size },
      };
    }),
  };
}

function readTranslatorFile(value: unknown, where: string): TranslatorFile {
  const name = textOf(objectOf(value, where), 'name', where);
  if (!isFileName(name)) throw invalid(`${where} has a name that leads elsewhere`);
  return { name, ...readPin(value, where) };
}

function listOf<T>(
  value: unknown,
  where: string,
  read: (value: unknown, where: string) => T,
): readonly T[] {
  if (!Array.isArray(value) || value.length > MAX_FILES) {
    throw invalid(`${where} are no list, or of more than ${MAX_FILES}`);
  }
  return value.map((each, index) => read(each, `${where}, ${index + 1}`));
}

function readOrigin(value: unknown, where: string): EmulatorOrigin {
  const origin = objectOf(value, `the origin of ${where}`);
  const text = (name: string) => textOf(origin, name, where);
  const provider = text('provider');
  if (provider === 'dir') return { provider, file: text('file') };
  if (provider === 'nix') {
    return {
      provider,
      storePath: text('storePath'),
      narHash: text('narHash'),
      file: text('file'),
    };
  }
  if (provider !== 'debian') throw invalid(`${where} has an origin that is not known`);
  const { packageSize } = origin;
  if (typeof packageSize !== 'number' || !Number.isSafeInteger(packageSize) || packageSize < 0) {
    throw invalid(`${where} has no packageSize`);
  }
  return {
    provider,
    suite: text('suite'),
    package: text('package'),
    packageVersion: text('packageVersion'),
    sourcePackage: text('sourcePackage'),
    sourceVersion: text('sourceVersion'),
    packagePath: poolPath(text('packagePath'), where),
    packageDigest: digestOf(origin.packageDigest, where),
    packageSize,
  };
}

function invalid(what: string): UportError {
  return new UportError({
    code: 'UPORT_LOCK_INVALID',
    category: 'input',
    message: `the lock cannot be used: ${what}`,
    hint: 'put back the one from version control, or remove it and run uport update',
  });
}
