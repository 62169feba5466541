// Which npm packages a command is made of, and where each goes in a node_modules folder of its own.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { UportError } from '@uport/errors';

/** A package, and its place below the new folder. */
export interface PlacedPackage {
  /** Its folder on this machine, links followed. */
  readonly folder: string;
  /** `node_modules/NAME`, or below that of the package that needs this version of it. */
  readonly place: string;
  /** Tells what of the folder's own entries travels. */
  readonly takes: (name: string) => boolean;
}

interface Manifest {
  readonly name?: string;
  readonly files?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Far more than any command has. */
const MAX_PACKAGES = 10_000;

/**
 * Lays out a package and all that it depends on, as npm would: at the top, unless another version
 * is there already. Optional packages travel when they are installed.
 *
 * @param root the command's package folder
 * @throws UportError UPORT_PACKAGE_MISSING for a dependency that is not installed
 */
export function commandPackages(root: string): readonly PlacedPackage[] {
  const top = realpathSync(root);
  const folders = new Map<string, string>();
  const queue: string[] = [];
  const put = (folder: string, place: string): void => {
    folders.set(place, folder);
    if (folders.size > MAX_PACKAGES) throw tooMany(top);
    queue.push(place);
  };
  put(top, `node_modules/${readManifest(top).name}`);
  const placed: PlacedPackage[] = [];
  // All that a package needs is placed before what those need, so that nothing is shadowed later.
  for (let place = queue.shift(); place !== undefined; place = queue.shift()) {
    const folder = folders.get(place) as string;
    const manifest = readManifest(folder);
    placed.push({ folder, place, takes: travelling(folder, manifest) });
    const needed = Object.keys(manifest.dependencies ?? {});
    const wished = { ...manifest.optionalDependencies, ...manifest.peerDependencies };
    for (const name of new Set([...needed, ...Object.keys(wished)])) {
      const found = findPackage(name, folder);
      if (found === undefined) {
        if (name in wished) continue;
        throw missing(name, folder);
      }
      const seen = visible(name, place, folders);
      if (seen === undefined) put(found, `node_modules/${name}`);
      else if (seen !== found) put(found, `${place}/node_modules/${name}`);
    }
  }
  return placed;
}

/** The folder that `place` would load a package from, as far as they are laid out. */
function visible(
  name: string,
  place: string,
  folders: ReadonlyMap<string, string>,
): string | undefined {
  for (let at = `${place}/`; at !== ''; at = at.slice(0, at.lastIndexOf('node_modules/'))) {
    const found = folders.get(`${at}node_modules/${name}`);
    if (found !== undefined) return found;
  }
  return folders.get(`node_modules/${name}`);
}

/** As Node looks for it. */
function findPackage(name: string, from: string): string | undefined {
  for (let at = from; ; at = path.dirname(at)) {
    const folder = path.join(at, 'node_modules', name);
    if (existsSync(path.join(folder, 'package.json'))) return realpathSync(folder);
    if (path.dirname(at) === at) return undefined;
  }
}

/** A package that npm installed holds what travels and no more; one of a workspace says what does. */
function travelling(folder: string, { files }: Manifest): PlacedPackage['takes'] {
  if (folder.split(path.sep).includes('node_modules') || files === undefined) {
    return (name) => name !== 'node_modules';
  }
  // The latter are what npm always packs.
  return (name) => files.includes(name) || /^(package\.json$|licen[cs]e|readme|notice)/i.test(name);
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
}

function missing(name: string, folder: string): UportError {
  return new UportError({
    code: 'UPORT_PACKAGE_MISSING',
    category: 'environment',
    message: `the npm package ${name} is not installed`,
    hint: 'install uport again: npm install uport',
    file: path.join(folder, 'package.json'),
  });
}

function tooMany(folder: string): UportError {
  return new UportError({
    code: 'UPORT_PACKAGE_MISSING',
    category: 'environment',
    message: `there are more than ${MAX_PACKAGES} npm packages`,
    hint: 'install uport in a folder of its own: npm install --prefix DIR uport',
    file: folder,
  });
}
