import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DebianContext } from './context.ts';
import { parseParagraphs } from './deb822.ts';

/** A place that Debian's archive may be fetched from. */
export interface Mirror {
  /** The folder that holds `dists/` and `pool/`, without a slash at its end. */
  readonly url: string;
  /** Stands for the mirror in the store: the same for every day of the fallback. */
  readonly key: string;
}

/** Suites of Debian. Others in apt's configuration are of other vendors, who need not be asked. */
const DEBIAN_SUITE =
  /^(?:experimental|rc-buggy|sid|unstable|testing|(?:old)*stable|buster|bullseye|bookworm|trixie|forky|duke)(?:-(?:updates|backports|backports-sloppy|proposed-updates))?$/;

/**
 * The mirrors to ask, in order: the one that is named, and no other; else those of this machine's
 * apt configuration, then Debian's snapshot archive of today.
 */
export async function findMirrors(context: DebianContext): Promise<readonly Mirror[]> {
  const named = context.debian?.mirror || (context.env ?? process.env).UPORT_DEBIAN_MIRROR;
  if (named) return [toMirror(named)];
  const urls = await aptMirrors(context.debian?.aptFolder ?? '/etc/apt');
  const day = (context.now?.() ?? new Date()).toISOString().slice(0, 10).replaceAll('-', '');
  return [
    ...urls.map(toMirror),
    {
      url: `https://snapshot.debian.org/archive/debian/${day}T000000Z`,
      key: 'snapshot',
    },
  ];
}

function toMirror(url: string): Mirror {
  const trimmed = url.replace(/\/+$/, '');
  return { url: trimmed, key: trimmed };
}

/** The Debian mirrors that apt is told of (sources.list(5)), each once. Unreadable files are skipped. */
export async function aptMirrors(folder: string): Promise<readonly string[]> {
  const parts = path.join(folder, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort();
  const files = [path.join(folder, 'sources.list'), ...names.map((name) => path.join(parts, name))];
  const found = new Set<string>();
  for (const file of files) {
    if (!/\.(?:list|sources)$/.test(file)) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    const sources = file.endsWith('.sources') ? readDeb822(text) : readOneLine(text);
    for (const { uri, suite } of sources) {
      if (/^https?:\/\//.test(uri) && DEBIAN_SUITE.test(suite)) found.add(uri.replace(/\/+$/, ''));
    }
  }
  return [...found];
}

interface Source {
  readonly uri: string;
  readonly suite: string;
}

function readDeb822(text: string): readonly Source[] {
  const sources: Source[] = [];
  for (const paragraph of parseParagraphs(text)) {
    const words = (name: string): readonly string[] =>
      (paragraph.get(name) ?? '').split(/\s+/).filter((word) => word);
    if (!words('types').includes('deb') || /^(?:no|false|0)$/i.test(paragraph.get('enabled') ?? ''))
      continue;
    for (const uri of words('uris')) {
      for (const suite of words('suites')) sources.push({ uri, suite });
    }
  }
  return sources;
}

function readOneLine(text: string): readonly Source[] {
  const sources: Source[] = [];
  for (const line of text.split('\n')) {
    const parts = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)(?:\s|$)/.exec(line);
    if (parts) sources.push({ uri: parts[1] as string, suite: parts[2] as string });
  }
  return sources;
}
