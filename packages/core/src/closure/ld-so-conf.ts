import { type LibraryRoot, readRootText } from './library-root.ts';

const MAX_DEPTH = 16;
const MAX_FILES = 1000;
const MAX_FOLDERS = 1000;

/**
 * The folders that `/etc/ld.so.conf` of a root names, in order (ldconfig(8)): one a line, `include`
 * with patterns, `#` comments. What cannot be read counts as empty, as for ldconfig.
 */
export function readLdSoConf(root: LibraryRoot, start = '/etc/ld.so.conf'): readonly string[] {
  const folders = new Set<string>();
  let files = 0;
  const read = (file: string, depth: number): void => {
    if (depth > MAX_DEPTH || ++files > MAX_FILES) return;
    const text = readRootText(root, file);
    if (text === undefined) return;
    for (const raw of text.split('\n')) {
      const line = raw.replace(/#.*/, '').trim();
      const [word, ...rest] = line.split(/\s+/);
      if (word === undefined || word === '' || word === 'hwcap') continue;
      if (word === 'include') {
        const here = file.slice(0, file.lastIndexOf('/'));
        for (const pattern of rest) {
          const from = pattern.startsWith('/') ? pattern : `${here}/${pattern}`;
          for (const each of expandPattern(root, from)) read(each, depth + 1);
        }
        continue;
      }
      // A folder may be followed by `=libc6` and the like, which ldconfig takes off.
      const folder = line.replace(/\s*=.*/, '').replace(/\/+$/, '');
      if (folder.startsWith('/') && folders.size < MAX_FOLDERS) folders.add(folder);
    }
  };
  read(start, 0);
  return [...folders];
}

/** The paths of a root that a pattern of glob(7) matches, sorted. */
export function expandPattern(root: LibraryRoot, pattern: string): readonly string[] {
  let found = [''];
  for (const part of pattern.split('/').filter((each) => each !== '')) {
    if (!/[*?[]/.test(part)) {
      found = found.map((folder) => `${folder}/${part}`);
      continue;
    }
    const matches = patternOf(part);
    found = found.flatMap((folder) =>
      root
        .list(folder === '' ? '/' : folder)
        .filter((name) => matches.test(name) && (!name.startsWith('.') || part.startsWith('.')))
        .map((name) => `${folder}/${name}`),
    );
    if (found.length > MAX_FILES) found = found.slice(0, MAX_FILES);
  }
  return found;
}

/** One part of a pattern. Runs of `*` count as one, so that matching stays linear in practice. */
function patternOf(part: string): RegExp {
  const source = part.replace(/\*+/g, '*').replace(/\[!?[^\]]*\]|[.+^${}()|\\*?[\]]/g, (token) => {
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 1) return token.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    return `\\${token}`;
  });
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return /^(?!)/;
  }
}
