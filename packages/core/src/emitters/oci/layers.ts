// The layers of an image: which files of the plan go where.
import { UportError } from '@uport/errors';
import { encodeManifest } from '@uport/launcher';
import { parseArch } from '../../model/arch.ts';
import { displayBytes } from '../../model/byte-path.ts';
import type { ContentSource } from '../../model/content.ts';
import type { BytePath, PayloadEntry } from '../../model/payload-tree.ts';
import type { HostPlan, NativeSlice, PinnedFile, Plan } from '../../plan/plan.ts';
import type { TarContent, TarEntry } from '../../tar/tar-blocks.ts';

/** A layer that is still to be written. */
export interface LayerPlan {
  /** For people who watch. */
  readonly name: string;
  readonly createdBy: string;
  readonly entries: readonly TarEntry[];
}

/** The payload tree: the same on every platform. */
export function guestLayer(plan: Plan, content: ContentSource): LayerPlan {
  return {
    name: plan.app.name,
    createdBy: `uport: ${plan.app.name}, ${plan.app.guest} program`,
    entries: plan.payload.entries.map((entry) => payloadEntry(entry, content)),
  };
}

/** What a host needs besides; undefined when the guest layer is all. */
export function hostLayer(
  plan: Plan,
  host: HostPlan,
  content: ContentSource,
): LayerPlan | undefined {
  if (host.way !== 'native') return launcherLayer(host, content);
  return host.slices.length > 0 ? sliceLayer(plan, host.host, host.slices, content) : undefined;
}

function payloadEntry(entry: PayloadEntry, content: ContentSource): TarEntry {
  if (/(^|\/)\.wh\.[^/]*$/.test(entry.path)) {
    throw new UportError({
      code: 'UPORT_OCI_WHITEOUT_NAME',
      category: 'input',
      message: `${displayBytes(entry.path)} begins with .wh., which deletes files in an image layer`,
      hint: 'rename the file or leave it out',
    });
  }
  const { path, mode } = entry;
  switch (entry.type) {
    case 'file':
      return { type: 'file', path, mode, size: entry.size, content: pinned(entry, content) };
    case 'directory':
      return { type: 'directory', path, mode };
    default:
      return { type: entry.type, path, mode, target: entry.target };
  }
}

function launcherLayer(
  host: Extract<HostPlan, { way: 'compatible' | 'emulated' }>,
  content: ContentSource,
): LayerPlan {
  const { emulator, launcher } = host;
  const name = `qemu-${emulator.guest}`;
  const { elf } = parseArch(emulator.guest);
  const manifest = Buffer.from(
    encodeManifest({ emulators: [{ name: emulator.guest, elf, path: name, args: [] }] }),
    'latin1',
  );
  return {
    name: `${name} for ${host.host}`,
    createdBy: `uport: launcher and ${name} ${emulator.version} for ${host.host}`,
    entries: [
      { type: 'directory', path: '.uport', mode: 0o755 },
      executable('.uport/launch', launcher, content),
      {
        type: 'file',
        path: '.uport/manifest',
        mode: 0o644,
        size: manifest.length,
        content: { bytes: manifest },
      },
      executable(`.uport/${name}`, emulator, content),
    ],
  };
}

/** The native builds in the places of other files, with the folders above them as they are. */
function sliceLayer(
  plan: Plan,
  host: string,
  slices: readonly NativeSlice[],
  content: ContentSource,
): LayerPlan {
  const places = new Map(slices.map(({ path, file }) => [path, file]));
  const isAbove = (folder: BytePath) => slices.some(({ path }) => path.startsWith(`${folder}/`));
  return {
    name: `native build for ${host}`,
    createdBy: `uport: native build for ${host}`,
    // In the payload's order: each folder before what lies in it.
    entries: plan.payload.entries.flatMap((entry): TarEntry[] => {
      const { path, mode } = entry;
      const file = places.get(path);
      if (file !== undefined) {
        return [{ type: 'file', path, mode, size: file.size, content: pinned(file, content) }];
      }
      return entry.type === 'directory' && isAbove(path) ? [payloadEntry(entry, content)] : [];
    }),
  };
}

function executable(path: string, file: PinnedFile, content: ContentSource): TarEntry {
  return { type: 'file', path, mode: 0o755, size: file.size, content: pinned(file, content) };
}

function pinned(file: PinnedFile, content: ContentSource): TarContent {
  const found = content.locate(file.digest);
  if (found !== undefined) return { file: found, digest: file.digest };
  throw new UportError({
    code: 'UPORT_CONTENT_MISSING',
    category: 'input',
    message: `no file with the digest ${file.digest} is at hand`,
    hint: 'build again: the store may have been cleared meanwhile',
  });
}
