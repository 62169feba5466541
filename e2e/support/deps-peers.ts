// What others say a program loads: the real loader under QEMU, lddtree, libtree. Each answers with the
// real paths of files inside the root, without the program itself.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { closureOfFile } from '@uport/core/closure';

/** What was found; undefined when the tool gave up. */
export type Found = ReadonlySet<string> | undefined;

/** A name in a root that no package has. */
const TOOLS = '.tools';

/** Puts what runs inside the root there. */
export function equipRoot(root: string, qemu: string): void {
  const tools = path.join(root, TOOLS);
  mkdirSync(tools, { recursive: true });
  copyFileSync(`/usr/bin/qemu-${qemu}-static`, path.join(tools, 'qemu'));
  // libtree knows the folders of ld.so.conf only, and the loader Debian's own besides.
  writeFileSync(path.join(tools, 'ld.so.conf'), 'include /etc/ld.so.conf.d/*.conf\n');
  const libtree = '/usr/bin/libtree';
  if (!existsSync(libtree)) return;
  for (const [file] of execFileSync('ldd', [libtree], { encoding: 'utf8' }).matchAll(/\/\S+/g)) {
    copyFileSync(realpathSync(file), path.join(tools, path.basename(file)));
  }
  copyFileSync(libtree, path.join(tools, 'libtree'));
}

/** `LD_TRACE_LOADED_OBJECTS=1` of glibc; musl's loader has `--list`. */
export function byLoader(root: string, program: string, musl?: string): Found {
  const args =
    musl === undefined ? ['-E', 'LD_TRACE_LOADED_OBJECTS=1', program] : [musl, '--list', program];
  const { stdout, status } = inRoot(root, [`/${TOOLS}/qemu`, ...args]);
  if (status !== 0) return undefined;
  return pathsOf(root, stdout.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm));
}

export function byLibtree(root: string, program: string): Found {
  const loader = `/${TOOLS}/ld-linux-x86-64.so.2`;
  const own = [loader, '--library-path', `/${TOOLS}`, `/${TOOLS}/libtree`];
  const options = ['-p', '-vvv', '--ldconf', `/${TOOLS}/ld.so.conf`];
  const { stdout } = inRoot(root, [...own, ...options, program]);
  return pathsOf(root, stdout.matchAll(/── (\/\S+) \[/g));
}

/** All at once: most of its time is its start. Debian's Python serves it. */
export function byLddtree(root: string, programs: readonly string[]): ReadonlyMap<string, Found> {
  const command = ['/usr/bin/lddtree', '-R', root, ...programs];
  const { stdout } = spawnSync('/usr/bin/python3', command, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const found = new Map<string, Set<string>>();
  let current = new Set<string>();
  for (const line of stdout.split('\n')) {
    const [, program, interpreter] = /^(\/\S+) \(interpreter => (\/\S+?)\)/.exec(line) ?? [];
    if (program !== undefined && interpreter !== undefined) {
      current = new Set([insideRoot(root, interpreter)]);
      found.set(insideRoot(root, program, false), current);
    }
    const [, file] = /^\s+\S+ => (\/\S+)/.exec(line) ?? [];
    if (file !== undefined) current.add(insideRoot(root, file));
  }
  return found;
}

export async function byUport(root: string, program: string): Promise<Found> {
  const { objects, missing } = await closureOfFile({
    file: path.join(root, program),
    sysroot: root,
    withoutRuntimeLoads: true,
  });
  if (missing.length > 0) return undefined;
  return new Set(objects.slice(1).map(({ realPath }) => realPath));
}

function inRoot(root: string, command: readonly string[]) {
  return spawnSync('/usr/sbin/chroot', [root, ...command], {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin' },
    timeout: 60_000,
  });
}

function pathsOf(root: string, matches: Iterable<RegExpMatchArray>): Found {
  return new Set([...matches].map(([, file = '']) => insideRoot(root, file)));
}

/** The path of a file of the root in it, its links followed as inside. */
function insideRoot(root: string, file: string, follow = true): string {
  const inside = file.startsWith(`${root}/`) ? file.slice(root.length) : file;
  return follow ? followed(root, inside) : inside;
}

function followed(root: string, file: string, links = 0): string {
  if (links > 40) throw new Error(`${file}: too many links`);
  let at = '/';
  const parts = file.split('/').filter((part) => part !== '');
  for (const [i, part] of parts.entries()) {
    const next = path.posix.join(at, part);
    if (lstatSync(path.join(root, next)).isSymbolicLink()) {
      const target = path.posix.resolve(at, readlinkSync(path.join(root, next)));
      return followed(root, path.posix.join(target, ...parts.slice(i + 1)), links + 1);
    }
    at = next;
  }
  return at;
}
