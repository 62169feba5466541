import { spawnSync } from 'node:child_process';
import { findProgram } from '@uport/testkit';
import { UPORT } from './uport.ts';

/** Debian packages of the tools that tests compare with. */
const PACKAGES: Readonly<Record<string, string>> = {
  busybox: 'busybox-static',
  'docker-registry': 'docker-registry',
  faketime: 'faketime',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
  lddtree: 'pax-utils python3-pyelftools',
  libtree: 'libtree',
  podman: 'podman',
  'qemu-aarch64-static': 'qemu-user-static',
  runc: 'runc',
  skopeo: 'skopeo',
  umoci: 'umoci',
};

/** Why a test can't run: the missing tools with the command that brings them. */
export function missingTools(...names: readonly string[]): string | undefined {
  const missing = names.filter((name) => !findProgram(name));
  if (missing.length === 0) return undefined;
  const packages = missing.map((name) => PACKAGES[name] ?? name);
  return `${missing.join(', ')} missing: apt-get install ${packages.join(' ')}`;
}

/** Why a test can't run as an ordinary user. */
export function notRoot(what: string): string | undefined {
  return process.getuid?.() === 0 ? undefined : `${what} needs root: run the tests with sudo`;
}

/** Why a test can't start uport as another user, who must be able to read it. */
export function noOtherUser(): string | undefined {
  const read = () => spawnSync('test', ['-r', UPORT], { uid: 65534, gid: 65534 }).status === 0;
  return (
    notRoot('another user') ??
    (read() ? undefined : 'needs a clone that others can read: chmod o+rx')
  );
}

let privateBinfmt: boolean | undefined;

/** Why a test can't have a binfmt_misc of a user namespace: Linux before 6.7, or namespaces forbidden. */
export function noPrivateBinfmt(): string | undefined {
  privateBinfmt ??=
    spawnSync('unshare', ['-Urm', 'mount', '-t', 'binfmt_misc', 'none', '/mnt']).status === 0;
  return privateBinfmt ? undefined : 'needs Linux 6.7 and user namespaces';
}

/** A test's name with the reason why it is skipped. */
export function named(name: string, reason: string | undefined): string {
  return reason ? `${name} (${reason})` : name;
}
