// Who an image's program runs as.
import { lstatSync, readFileSync } from 'node:fs';
import { locateInRoot } from '../rootfs/root-paths.ts';

/** Real ones have some kilobytes. */
const PASSWD_MAX = 1 << 20;
const ID = /^\d{1,10}$/;

/**
 * The ids that engines take for an image's `UID[:GID]`: without a group that of the user in the root's
 * `/etc/passwd`, else 0. Undefined for the name of a user; that of a group counts as none.
 */
export function imageUser(
  user: string,
  root: string,
): { readonly uid: number; readonly gid: number } | undefined {
  const [own = '', group = ''] = user.split(':');
  if (!ID.test(own)) return undefined;
  const uid = Number(own);
  return { uid, gid: ID.test(group) ? Number(group) : groupOf(uid, root) };
}

function groupOf(uid: number, root: string): number {
  for (const line of passwdOf(root).split('\n')) {
    const [, , user, group] = line.split(':');
    if (user === String(uid) && ID.test(group ?? '')) return Number(group);
  }
  return 0;
}

/** Empty when the root has none that can be read. */
function passwdOf(root: string): string {
  try {
    const file = locateInRoot(root, 'etc/passwd');
    const info = file === undefined ? undefined : lstatSync(file);
    if (!file || !info?.isFile() || info.size > PASSWD_MAX) return '';
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
