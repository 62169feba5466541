// The layers of an image: which files of the plan go where.
import { UportError } from '@uport/errors';
import { displayBytes } from '../../model/byte-path.ts';
import type { ContentSource } from '../../model/content.ts';
import type { BytePath, PayloadEntry } from '../../model/payload-tree.ts';
import {
  type LayerPlan,
  launcherLayer,
  shimCopiesLayer,
  surroundingsLayer,
} from '../../oci/launcher-layer.ts';
import { imageSurroundings } from '../../plan/guest-settings.ts';
import type { HostPlan, NativeSlice, PinnedFile, Plan } from '../../plan/plan.ts';
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

/** A layer, and whether other apps' images have the same one. */
export interface HostLayer {
  readonly layer: LayerPlan;
  readonly shared: boolean;
}

/** What a host needs besides the guest layer. */
export function hostLayers(
  plan: Plan,
  host: HostPlan,
  content: ContentSource,
): readonly HostLayer[] {
  const surroundings = imageSurroundings(plan);
  if (host.way !== 'native') {
    const { shims } = plan;
    const copies = shims && shimCopiesLayer(shims, content);
    const layer = launcherLayer(host, content, {
      ...(surroundings && { surroundings }),
      ...(shims && { shims }),
    });
    return [
      ...(copies ? [{ layer: copies, shared: false }] : []),
      { layer, shared: surroundings === undefined && shims === undefined },
    ];
  }
  const layers: HostLayer[] = [];
  if (host.slices.length > 0) {
    layers.push({ layer: sliceLayer(plan, host.host, host.slices, content), shared: false });
  }
  if (isLaunched(plan, host) && surroundings) {
    const parts = { launcher: launcherOf(host), ...(host.notice && { notice: host.notice }) };
    const layer = surroundingsLayer(host.host, parts, surroundings, content);
    layers.push({ layer, shared: false });
  }
  return layers;
}

/** Whether the launcher starts the app on a host: on its own CPU only where a variable must go. */
export function isLaunched({ guest }: Plan, host: HostPlan): boolean {
  return host.way !== 'native' || (guest !== undefined && guest.unset.length > 0);
}

function launcherOf({ host, launcher }: HostPlan): PinnedFile {
  if (launcher !== undefined) return launcher;
  throw new UportError({
    code: 'UPORT_NO_LAUNCHER',
    category: 'input',
    message: `there is no launcher for ${host}, which --unset needs`,
    hint: 'leave --unset or this host out',
  });
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
