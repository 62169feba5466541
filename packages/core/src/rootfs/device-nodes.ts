// What programs expect in /dev of a root whose kernel does not fill it.
import { textPath } from '../model/byte-path.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';

const DEVICES: readonly (readonly [name: string, mode: number, major: number, minor: number])[] = [
  ['console', 0o666, 5, 1],
  ['full', 0o666, 1, 7],
  ['null', 0o666, 1, 3],
  ['ptmx', 0o666, 5, 2],
  ['random', 0o666, 1, 8],
  ['tty', 0o666, 5, 0],
  ['urandom', 0o666, 1, 9],
  ['zero', 0o666, 1, 5],
];
const LINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stderr', '/proc/self/fd/2'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
];

/** The same as debootstrap and mmdebstrap make. */
export function deviceNodes(mtime: number): readonly PayloadEntry[] {
  return [
    ...DEVICES.map(([name, mode, major, minor]): PayloadEntry => {
      const path = textPath(`dev/${name}`);
      return { type: 'characterDevice', path, mode, mtime, device: { major, minor } };
    }),
    ...LINKS.map(([name, target]): PayloadEntry => {
      return { type: 'symlink', path: textPath(`dev/${name}`), mode: 0o777, mtime, target };
    }),
    { type: 'directory', path: textPath('dev/pts'), mode: 0o755, mtime },
    { type: 'directory', path: textPath('dev/shm'), mode: 0o1777, mtime },
  ];
}
