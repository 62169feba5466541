import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { FileTree, type TreeMember } from './file-tree.ts';

const CONTENT = { digest: sha256Digest('a'.repeat(64)), size: 1 };

function member(type: TreeMember['type'], path: string, target = ''): TreeMember {
  const device = { major: 1, minor: 3 };
  return { type, path, target, mode: 0o755, uid: 0, gid: 0, mtime: 1, device, xattrs: {} };
}

function treeOf(members: readonly TreeMember[], keepFolderLinks = false): FileTree {
  const tree = new FileTree({ keepFolderLinks });
  for (const each of members) tree.place(each, each.type === 'file' ? CONTENT : undefined);
  return tree;
}

const paths = (tree: FileTree) => tree.entries().map(({ type, path }) => `${type} ${path}`);

test('what hostile archives are made of is refused', () => {
  for (const path of ['../x', 'a/../../x', '/../x', 'a/..', '..', 'a\0b', 'n'.repeat(256)]) {
    expect(() => treeOf([member('file', path)])).toThrow(
      expect.objectContaining({ code: 'UPORT_TAR_PATH' }),
    );
  }
  expect(() => treeOf([member('file', 'x/'.repeat(2100))])).toThrow(
    expect.objectContaining({ code: 'UPORT_TAR_PATH' }),
  );
  for (const target of ['../x', '/etc/passwd', 'nothing', 'd', '', 'l/../x']) {
    expect(() =>
      treeOf([
        member('directory', 'd'),
        member('symlink', 'l', 'd'),
        member('hardlink', 'h', target),
      ]),
    ).toThrow(expect.objectContaining({ code: expect.stringMatching(/^UPORT_TAR_(LINK|PATH)$/) }));
  }
  expect(() => treeOf([member('file', 'f'), member('file', 'f/x')])).toThrow(
    expect.objectContaining({ code: 'UPORT_TAR_PATH' }),
  );
  const loop = [member('symlink', 'a', 'b'), member('symlink', 'b', 'a'), member('file', 'a/x')];
  expect(() => treeOf(loop)).toThrow(expect.objectContaining({ code: 'UPORT_TAR_PATH' }));
  expect(() => treeOf([member('symlink', 'l', '')])).toThrow(
    expect.objectContaining({ code: 'UPORT_TAR_LINK' }),
  );
  expect(() => treeOf([{ ...member('file', 'x'), uid: 2 ** 32 }])).toThrow(
    expect.objectContaining({ code: 'UPORT_TAR_PATH' }),
  );
});

test('symbolic links are followed inside the tree only', () => {
  const tree = treeOf([
    member('symlink', 'out', '/etc'),
    member('file', 'out/passwd'),
    member('symlink', 'up', '../../../..'),
    member('file', 'up/etc/shadow'),
    member('file', '/absolute'),
    member('file', './././dotted'),
  ]);
  expect(paths(tree)).toEqual([
    'file absolute',
    'file dotted',
    'directory etc',
    'file etc/passwd',
    'file etc/shadow',
    'symlink out',
    'symlink up',
  ]);
});

test('a file takes the place of a link, not of what the link names', () => {
  const tree = treeOf([
    member('file', 'target'),
    member('symlink', 'link', 'target'),
    member('file', 'link'),
  ]);
  expect(paths(tree)).toEqual(['file link', 'file target']);
});

test('a merged usr keeps its links; elsewhere a folder takes their place', () => {
  const members = [
    member('symlink', 'lib', 'usr/lib'),
    member('directory', 'usr/lib'),
    member('directory', 'lib'),
    member('file', 'lib/x.so'),
  ];
  expect(paths(treeOf(members, true))).toEqual([
    'symlink lib',
    'directory usr',
    'directory usr/lib',
    'file usr/lib/x.so',
  ]);
  expect(paths(treeOf(members))).toContain('file lib/x.so');
});

test('hard links outlive the name they were made to', () => {
  const tree = treeOf([
    member('file', 'z'),
    member('hardlink', 'b', 'z'),
    member('hardlink', 'a', 'b'),
    member('symlink', 'z', 'elsewhere'),
  ]);
  expect(tree.entries()).toMatchObject([
    { type: 'file', path: 'a' },
    { type: 'hardlink', path: 'b', target: 'a' },
    { type: 'symlink', path: 'z' },
  ]);
});

test('a million entries are the most', () => {
  const tree = new FileTree();
  for (let i = 0; i < 1_000_000; i++) tree.place(member('fifo', `f${i}`));
  expect(() => tree.place(member('fifo', 'one more'))).toThrow(
    expect.objectContaining({ code: 'UPORT_TAR_TOO_MANY_ENTRIES' }),
  );
});

test('whatever comes, entries have real folders above them, once each, in order', () => {
  const name = fc.constantFrom('a', 'b', 'c', '.', '', 'd\xff');
  const path = fc.array(name, { maxLength: 4 }).map((parts) => parts.join('/'));
  const target = fc
    .array(fc.constantFrom('a', 'b', '..', 'c', '.', ''), { maxLength: 4 })
    .map((parts) => parts.join('/'));
  const type = fc.constantFrom(
    'file' as const,
    'directory' as const,
    'symlink' as const,
    'hardlink' as const,
    'fifo' as const,
    'characterDevice' as const,
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(type, path, target), { maxLength: 20 }),
      fc.boolean(),
      (members, keep) => {
        const tree = new FileTree({ keepFolderLinks: keep });
        for (const [kind, at, to] of members) {
          try {
            tree.place(member(kind, at, to), kind === 'file' ? CONTENT : undefined);
          } catch (error) {
            expect((error as { code?: string }).code).toMatch(/^UPORT_TAR_(PATH|LINK)$/);
          }
        }
        const seen = new Map<string, string>();
        let last = '';
        for (const entry of tree.entries()) {
          expect(entry.path > last).toBe(true);
          last = entry.path;
          expect(entry.path.split('/')).not.toContain('..');
          const above = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
          if (above !== '') expect(seen.get(above)).toBe('directory');
          if (entry.type === 'hardlink') {
            expect(seen.get(entry.target)).toMatch(/^(file|symlink|fifo|characterDevice)$/);
          }
          seen.set(entry.path, entry.type);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
