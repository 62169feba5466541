import { describe, expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import type { BytePath, PayloadEntry } from '../model/payload-tree.ts';
import { libraryLinks } from './library-links.ts';

const digest = sha256Digest('0'.repeat(64));
const file = (path: string): PayloadEntry => ({
  type: 'file',
  path: path as BytePath,
  mode: 0o444,
  size: 1,
  digest,
});
const link = (path: string, target: string): PayloadEntry => ({
  type: 'symlink',
  path: path as BytePath,
  mode: 0o777,
  target,
});
const entries = (...all: readonly PayloadEntry[]) =>
  new Map<string, PayloadEntry>(
    [
      ...['s', 's/libc', 's/libc/lib', 's/a', 's/a/lib', 's/b', 's/b/lib', 's/b/lib/sub'].map(
        (path): PayloadEntry => ({ type: 'directory', path: path as BytePath, mode: 0o555 }),
      ),
      ...all,
    ].map((entry) => [entry.path, entry]),
  );
const paths = (...all: readonly string[]) => all as readonly BytePath[];
const loader = 's/libc/lib/ld.so' as BytePath;

describe('links to libraries in the loader’s folder', () => {
  test('the first folder that has a name serves it, the loader’s own before all', () => {
    const tree = entries(
      file('s/libc/lib/ld.so'),
      file('s/libc/lib/libc.so.6'),
      file('s/a/lib/libx.so.1.2'),
      link('s/a/lib/libx.so.1', 'libx.so.1.2'),
      file('s/a/lib/libc.so.6'),
      file('s/b/lib/libx.so.1'),
      file('s/b/lib/liby.so'),
    );
    const libraryFolders = paths('s/b/lib', 's/libc/lib', 's/a/lib');
    expect(libraryLinks({ loader, libraryFolders }, tree)).toEqual([
      { path: 's/libc/lib/libx.so.1', target: '../../b/lib/libx.so.1' },
      { path: 's/libc/lib/libx.so.1.2', target: '../../a/lib/libx.so.1.2' },
      { path: 's/libc/lib/liby.so', target: '../../b/lib/liby.so' },
    ]);
  });

  test('what is no library, lies deeper or leads nowhere is left out', () => {
    const tree = entries(
      file('s/libc/lib/ld.so'),
      file('s/b/lib/liby.a'),
      file('s/b/lib/sub/libz.so'),
      link('s/b/lib/libgone.so', '/elsewhere/libgone.so'),
      link('s/b/lib/libfolder.so', 'sub'),
    );
    expect(libraryLinks({ loader, libraryFolders: paths('s/b/lib') }, tree)).toEqual([]);
  });

  test('an app without a loader or such folders has none', () => {
    const tree = entries(file('s/libc/lib/ld.so'), file('s/b/lib/liby.so'));
    expect(libraryLinks({ libraryFolders: paths('s/b/lib') }, tree)).toEqual([]);
    expect(libraryLinks({ loader }, tree)).toEqual([]);
  });
});
