// The layer that makes a guest's image run on a host: launcher, emulator, manifest.
import { UportError } from '@uport/errors';

import {
  encodeManifest,
  encodeShims,
  type Manifest,
  type ManifestSurroundings,
} from '@uport/launcher';

import { parseArch } from '../model/arch.ts';
import type { ContentSource } from '../model/content.ts';
import type { BytePath, DirectoryEntry } from '../model/payload-tree.ts';
import type { HostPlan, PinnedFile, PinnedTranslator } from '../plan/plan.ts';
import type { ShimPlan } from '../plan/shims.ts';
import type { TarContent, TarEntry } from '../tar/tar-blocks.ts';

/** A layer that is still to be written. */
export interface LayerPlan {
  /** For people who watch. */
  readonly name: string;
  readonly createdBy: string;
  readonly entries: readonly TarEntry[];
}

/** A host that the app does not run on by itself. */
export type LaunchedHost = Extract<HostPlan, { way: 'compatible' | 'emulated' }>;

/** Where the launcher lies in an image. */
export const LAUNCHER_PATH = '/.uport/launch';

/** Where the licences and the source of what uport adds are told. */
const NOTICE_PATH = '.uport/NOTICE';

/** What a launcher's layer may hold besides. */
export interface LayerExtras {
  /** What the image's config cannot say. */
  readonly surroundings?: ManifestSurroundings;
  /** The programs whose places the launcher takes. */
  readonly shims?: ShimPlan;
}

export function launcherLayer(
  host: LaunchedHost,
  content: ContentSource,
  { surroundings, shims }: LayerExtras = {},
): LayerPlan {
  const { emulator, launcher, translator } = host;
  const name = `qemu-${emulator.guest}`;
  const { elf } = parseArch(emulator.guest);
  return {
    name: `${name} for ${host.host}`,
    createdBy: `uport: launcher and ${[
      ...(translator ? [`${translator.kind} ${translator.version}`] : []),
      `${name} ${emulator.version}`,
    ].join(' and ')} for ${host.host}`,
    entries: [
      ...launcherEntries(
        launcher,
        {
          emulators: [
            {
              name: emulator.guest,
              elf,
              path: name,
              args: host.cpu === undefined ? [] : ['-cpu', host.cpu],
            },
          ],
          ...(translator && {
            translator: {
              guest: translator.guest,
              name: translator.kind,
              loader: Buffer.from(translator.loader, 'utf8').toString('latin1'),
            },
          }),
          ...(surroundings && { surroundings }),
        },
        host.notice,
        content,
      ),
      executable(`.uport/${name}`, emulator, content),
      ...(translator ? translatorEntries(translator, content) : []),
      ...(shims ? shimEntries(shims) : []),
    ],
  };
}

/** Its folder, and the launcher's second name, by which it starts other programs. */
function translatorEntries(
  { kind, files }: PinnedTranslator,
  content: ContentSource,
): readonly TarEntry[] {
  return [
    { type: 'hardlink', path: '.uport/translate', mode: 0o755, target: LAUNCHER_PATH.slice(1) },
    { type: 'directory', path: `.uport/${kind}`, mode: 0o755 },
    ...files.map((file) => {
      const name = Buffer.from(file.name, 'utf8').toString('latin1');
      return executable(`.uport/${kind}/${name}`, file, content);
    }),
  ];
}

/** The launcher alone, where programs need no emulator but their environment must be changed. */
export function surroundingsLayer(
  host: string,
  { launcher, notice }: { readonly launcher: PinnedFile; readonly notice?: PinnedFile },
  surroundings: ManifestSurroundings,
  content: ContentSource,
): LayerPlan {
  return {
    name: `launcher for ${host}`,
    createdBy: `uport: launcher for ${host}`,
    entries: [...launcherEntries(launcher, { emulators: [], surroundings }, notice, content)],
  };
}

function launcherEntries(
  launcher: PinnedFile,
  described: Manifest,
  notice: PinnedFile | undefined,
  content: ContentSource,
): readonly TarEntry[] {
  const manifest = Buffer.from(encodeManifest(described), 'latin1');
  return [
    { type: 'directory', path: '.uport', mode: 0o755 },
    executable('.uport/launch', launcher, content),
    text('.uport/manifest', manifest),
    ...(notice ? [pinnedFile(NOTICE_PATH, 0o644, notice, content)] : []),
  ];
}

/** The copies of originals that the launcher would hide, the same on every host; undefined when there are none. */
export function shimCopiesLayer(shims: ShimPlan, content: ContentSource): LayerPlan | undefined {
  const { copies, folders } = shims;
  if (copies.length === 0) return undefined;
  return {
    name: 'programs behind shims',
    createdBy: 'uport: programs whose places the launcher takes',
    entries: [
      ...foldersAbove(
        folders,
        copies.map(({ path }) => path),
      ),
      ...copies.map(({ digest, ...entry }): TarEntry => {
        return { ...entry, content: pinned({ digest, size: entry.size }, content) };
      }),
    ],
  };
}

/** The launcher's further names are links to it, and a table says what they stand for. */
function shimEntries({ shims, folders }: ShimPlan): readonly TarEntry[] {
  const table = encodeShims(
    shims.map(({ place, original }) => ({ place: `/${place}`, original: `/${original}` })),
  );
  return [
    text('.uport/shims', Buffer.from(table, 'latin1')),
    ...foldersAbove(
      folders,
      shims.map(({ place }) => place),
    ),
    ...shims.map(
      ({ place }): TarEntry => ({
        type: 'hardlink',
        path: place,
        mode: 0o755,
        target: LAUNCHER_PATH.slice(1),
      }),
    ),
  ];
}

/** As they are in lower layers: an entry changes owner and mode too. */
function foldersAbove(
  folders: readonly DirectoryEntry[],
  places: readonly BytePath[],
): readonly TarEntry[] {
  return folders.filter(({ path }) => places.some((place) => place.startsWith(`${path}/`)));
}

function text(path: string, bytes: Buffer): TarEntry {
  return { type: 'file', path, mode: 0o644, size: bytes.length, content: { bytes } };
}

function executable(path: string, file: PinnedFile, content: ContentSource): TarEntry {
  return pinnedFile(path, 0o755, file, content);
}

function pinnedFile(
  path: string,
  mode: number,
  file: PinnedFile,
  content: ContentSource,
): TarEntry {
  return { type: 'file', path, mode, size: file.size, content: pinned(file, content) };
}

/** @throws UportError UPORT_CONTENT_MISSING */
export function pinned(file: PinnedFile, content: ContentSource): TarContent {
  const found = content.locate(file.digest);
  if (found !== undefined) return { file: found, digest: file.digest };
  throw new UportError({
    code: 'UPORT_CONTENT_MISSING',
    category: 'input',
    message: `no file with the digest ${file.digest} is at hand`,
    hint: 'build again: the store may have been cleared meanwhile',
  });
}
