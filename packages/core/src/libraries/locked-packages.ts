// Libraries from packages that a lock pins: what they hold is looked up in the packages themselves.
import { UportError } from '@uport/errors';
import { mirrorsOf } from '../debian/archive.ts';
import type { LibraryFile } from '../debian/contents-index.ts';
import type { DebianContext } from '../debian/context.ts';
import { readControl } from '../debian/control-file.ts';
import {
  asFailedTry,
  type DebianPackage,
  downloadPackage,
  type FailedTry,
  type FoundPackage,
  unavailable,
} from '../debian/package.ts';
import type { Digest } from '../model/digest.ts';
import type { PinnedPackage } from '../plan/plan.ts';
import type { Store } from '../store/store.ts';
import { chooseLibrary } from './choose-library.ts';
import { filesOfDeb } from './deb-files.ts';
import type { FoundLibrary, WantedLibrary } from './suite-libraries.ts';

/** The packages of a lock. */
export interface LockedPackages {
  readonly packages: readonly PinnedPackage[];
  /** Nothing else may be taken. */
  readonly only: boolean;
}

/**
 * Brings a pinned package into the store, from the first mirror that has it.
 *
 * @throws UportError UPORT_DEBIAN_UNAVAILABLE and others of the network
 */
async function fetchPinned(
  pin: PinnedPackage,
  context: DebianContext,
): Promise<{ readonly found: FoundPackage; readonly deb: DebianPackage }> {
  const failed: FailedTry[] = [];
  for (const mirror of await mirrorsOf(context)) {
    const found: FoundPackage = {
      name: pin.name,
      version: pin.version,
      architecture: pin.architecture,
      sourcePackage: pin.sourcePackage,
      sourceVersion: pin.sourceVersion,
      poolPath: pin.path,
      size: pin.size,
      digest: pin.digest,
      depends: '',
      suite: pin.suite,
      mirror,
    };
    try {
      const deb = await downloadPackage(found, context);
      await checkNames(deb, context);
      return { found, deb };
    } catch (error) {
      if (error instanceof UportError && error.code === 'UPORT_LOCK_PACKAGE_DIFFERS') throw error;
      failed.push(asFailedTry(error, pin.suite, mirror, context));
    }
  }
  throw unavailable(`locked ${pin.name} ${pin.version}`, failed);
}

/** What a package says of itself. */
type OwnNames = Pick<
  PinnedPackage,
  'name' | 'version' | 'architecture' | 'sourcePackage' | 'sourceVersion'
>;

/** By digest: each round of a build looks at all packages of the lock. */
const known = new WeakMap<Store, Map<Digest, OwnNames>>();

async function ownNames(deb: DebianPackage, context: DebianContext): Promise<OwnNames> {
  const names = known.get(context.store) ?? new Map<Digest, OwnNames>();
  known.set(context.store, names);
  const own = names.get(deb.digest) ?? (await readOwnNames(deb, context));
  names.set(deb.digest, own);
  return own;
}

async function readOwnNames(deb: DebianPackage, context: DebianContext): Promise<OwnNames> {
  const control = await readControl(deb.file, context.signal);
  const source = /^(\S+)(?:\s+\((\S+)\))?$/.exec(control.get('source') ?? '');
  const version = control.get('version') ?? '';
  return {
    name: control.get('package') ?? '',
    version,
    architecture: control.get('architecture') ?? '',
    sourcePackage: source?.[1] ?? control.get('package') ?? '',
    sourceVersion: source?.[2] ?? version,
  };
}

/**
 * A pinned package's digest says which bytes it is, and no signed index is asked: what the lock says of
 * it besides is compared with its own control file.
 *
 * @throws UportError UPORT_LOCK_PACKAGE_DIFFERS
 */
async function checkNames(deb: DebianPackage, context: DebianContext): Promise<void> {
  const own = await ownNames(deb, context);
  for (const key of Object.keys(own) as (keyof OwnNames)[]) {
    if (own[key] === deb[key]) continue;
    throw new UportError({
      code: 'UPORT_LOCK_PACKAGE_DIFFERS',
      category: 'validation',
      message: `the lock says ${key} ${deb[key]} of a package that says ${own[key] || 'nothing'} itself (${deb.digest})`,
      hint: 'put the lock back, or run uport update',
      file: deb.poolPath,
    });
  }
}

/** Looks libraries up in the locked packages of one suite. */
export async function findInLocked(
  { packages }: LockedPackages,
  suite: string,
  wanted: readonly WantedLibrary[],
  context: DebianContext,
): Promise<readonly FoundLibrary[]> {
  const names = new Set(wanted.map(({ soname }) => soname));
  const files = new Map<string, LibraryFile[]>();
  const owners = new Map<string, FoundPackage>();
  for (const pin of packages) {
    if (pin.suite !== suite) continue;
    const { found, deb } = await fetchPinned(pin, context);
    owners.set(pin.name, found);
    for (const { type, path } of (await filesOfDeb(deb, context)).entries) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (type === 'directory' || !names.has(name)) continue;
      files.set(name, [...(files.get(name) ?? []), { path, packages: [pin.name] }]);
    }
  }
  return wanted.flatMap(({ soname, folders }) => {
    const choice = chooseLibrary(soname, files.get(soname) ?? [], folders);
    const owner = choice && owners.get(choice.package);
    return owner ? [{ soname, path: choice.path, package: owner }] : [];
  });
}

/** Locked packages by their names. */
export async function namedInLocked(
  { packages }: LockedPackages,
  suites: readonly string[],
  names: readonly string[],
  context: DebianContext,
): Promise<readonly { readonly found: FoundPackage; readonly suite: number }[]> {
  const list = [];
  for (const pin of packages) {
    const suite = suites.indexOf(pin.suite);
    if (suite < 0 || !names.includes(pin.name)) continue;
    list.push({ found: (await fetchPinned(pin, context)).found, suite });
  }
  return list;
}
