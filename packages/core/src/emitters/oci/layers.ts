// The layers of an image: which files of the plan go where.
import { UportError } from '@uport/errors';
import { displayBytes } from '../../model/byte-path.ts';
import type { ContentSource } from '../../model/content.ts';
import type { BytePath, PayloadEntry } from '../../model/payload-tree.ts';
import { type LayerPlan, launcherLayer } from '../../oci/launcher-layer.ts';
import type { HostPlan, NativeSlice, Plan } from '../../plan/plan.ts';
import { payloadTarEntry } from '../../tar/payload-entry.ts';
import type { TarEntry } from '../../tar/tar-blocks.ts';

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
  return payloadTarEntry(entry, content);
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
      const { path } = entry;
      const file = places.get(path);
      if (file !== undefined && entry.type === 'file') {
        return [payloadTarEntry({ ...entry, size: file.size, digest: file.digest }, content)];
      }
      return entry.type === 'directory' && isAbove(path) ? [payloadEntry(entry, content)] : [];
    }),
  };
}
