// Gives an existing image the platforms that it lacks.
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { UportError } from '@uport/errors';
import { findLaunchers } from '../find-launchers.ts';
import { ARCHES, type Arch, DEFAULT_HOSTS } from '../model/arch.ts';
import { type ContentSource, placeOf, rangeOf } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import { createNotice, noticedEmulator } from '../notices/create-notice.ts';
import { createCompressor } from '../oci/compress.ts';
import type { PlatformView } from '../oci/documents.ts';
import {
  LAUNCHER_PATH,
  type LayerPlan,
  launcherLayer,
  shimCopiesLayer,
} from '../oci/launcher-layer.ts';
import { layerKey, lookupCached } from '../oci/layer-cache.ts';
import { writeLayer } from '../oci/layer-writer.ts';
import type { Referrer } from '../oci/referrers.ts';
import { archMatrix } from '../plan/arch-matrix.ts';
import { rankGuests } from '../plan/choose-guest.ts';
import { defaultGuestCpu } from '../plan/default-guest-cpu.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import { planShims, type ShimPlan } from '../plan/shims.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import { findEmulators, parseEmulatorProvider } from '../qemu/providers.ts';
import { fileBlob, type PushBlob } from '../registry/push-content.ts';
import { sbomReferrers } from '../sbom/attachments.ts';
import { imageInventory } from '../sbom/inventory.ts';
import type { Store } from '../store/store.ts';
import { temporaryName } from '../store/temporary.ts';
import {
  type AddedLayer,
  deriveConfig,
  deriveIndex,
  deriveManifest,
  type IndexAddition,
} from './derive.ts';
import { imageFault } from './faults.ts';
import { type FlatImage, flattenImage } from './flatten.ts';
import { type Json, parseIndexDocument } from './image-documents.ts';
import type { AddedPlatform, ImagePlan, KeptPlatform } from './image-plan.ts';
import { digestOf } from './image-source.ts';
import {
  readConfig,
  type SourceDocument,
  type SourceImage,
  type SourcePlatform,
} from './read-image.ts';

export interface ExtendOptions {
  readonly name: string;
  /** Default: amd64, arm64, riscv64, ppc64le and s390x. */
  readonly hosts?: readonly Arch[];
  /** The platform whose layers the missing ones get. Default: the best for each host. */
  readonly fromPlatform?: Arch;
  /** Programs whose places the launcher takes: see `planShims`. Reads the layers. */
  readonly shim?: 'all' | readonly string[];
  readonly providers?: readonly EmulatorProvider[];
  /** Attach SBOMs of what is added. Default: true. */
  readonly sbom?: boolean;
  /** Seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number;
  readonly store: Store;
  readonly progress?: Progress;
  readonly signal: AbortSignal;
  readonly warn?: (message: string) => void;
}

/** An image with all platforms, ready to be written or pushed. */
export interface ExtendedImage {
  readonly plan: ImagePlan;
  readonly source: SourceImage;
  /** What is new: manifests, then the index, unless nothing was missing. */
  readonly documents: readonly SourceDocument[];
  /** What is new: configs and layers. */
  readonly blobs: readonly PushBlob[];
  /** The whole image. */
  readonly root: SourceDocument;
  /** SBOMs of what is new, attached to the whole image. */
  readonly referrers: readonly Referrer[];
}

/** Host layers are packed once and kept in the store, so the time is well spent. */
const LEVEL = 9;

/**
 * Decides which platforms are missing and makes what they need. Platforms that are there stay as
 * they are, byte by byte; layers are not read.
 *
 * @throws UportError UPORT_IMAGE_NO_GUEST, UPORT_IMAGE_PLATFORM, UPORT_HOST_UNSUPPORTED
 */
export async function extendImage(
  image: SourceImage,
  options: ExtendOptions,
): Promise<ExtendedImage> {
  const { store, signal, sourceDateEpoch = 0 } = options;
  const progress = options.progress ?? silentProgress;
  const hosts = ARCHES.filter((arch) => (options.hosts ?? DEFAULT_HOSTS).includes(arch));
  const missing = hosts.filter(
    (host) => !image.platforms.some(({ platform }) => archOf(platform) === host),
  );
  const launchers = findLaunchers(missing);
  const choices = await choose(image, missing, new Set(launchers.pins.keys()), options);
  const shimmed = await shimGuests(image, choices, options);
  const content: ContentSource = {
    locate: (digest) => launchers.content.locate(digest) ?? store.locate(digest),
  };

  const created = new Date(sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z');
  const documents: SourceDocument[] = [];
  const blobs: PushBlob[] = [];
  const additions: IndexAddition[] = [];
  const added: AddedPlatform[] = [];
  const context = { store, progress, signal, warn: options.warn };
  for (const { host, guest, from, config, way, emulator: stock } of choices) {
    signal.throwIfAborted();
    const platform = host.oci;
    const launcher = launchers.pins.get(host.name);
    if (!platform || !launcher) throw new TypeError(`${host.name} was chosen without its parts`);
    const noticed = await noticedEmulator(stock, context);
    const { emulator } = noticed;
    const notice = await createNotice([noticed], context);
    const cpu = defaultGuestCpu(emulator);
    const parts = { host: host.name, way, launcher, emulator, notice };
    const launched = { ...parts, ...(cpu !== undefined && { cpu }) };
    const layers: AddedLayer[] = [];
    const shims = shimmed.get(guest);
    const copies = shims && shimCopiesLayer(shims, content);
    for (const plan of [
      ...(copies ? [copies] : []),
      launcherLayer(launched, content, shims && { shims }),
    ]) {
      const packed = await packLayer(plan, store, sourceDateEpoch, progress, signal);
      blobs.push(fileBlob(packed));
      layers.push({ ...packed, createdBy: plan.createdBy });
    }
    const annotations = {
      'dev.uport.emulator': `${emulator.kind} ${emulator.version}`,
      'dev.uport.from': from.descriptor.digest,
      'dev.uport.guest': guest.name,
      'dev.uport.way': way,
    };
    const configBytes = deriveConfig(config.raw, platform, layers, created);
    const configDigest = digestOf(configBytes);
    blobs.push(bytesBlob(configDigest, configBytes));
    const { mediaType, bytes } = deriveManifest(
      from.manifest.raw,
      { digest: configDigest, size: configBytes.length },
      layers,
      annotations,
    );
    const manifest = { mediaType, digest: digestOf(bytes), size: bytes.length };
    documents.push({ ...manifest, bytes, isIndex: false });
    additions.push({ ...manifest, platform, annotations });
    added.push({ host: launched, from: kept(from), ...(shims && { shims: shims.shims }) });
  }
  const root = added.length === 0 ? image.root : newRoot(image, additions);
  if (added.length > 0) documents.push(root);
  const { mediaType, digest } = image.root;
  const plan: ImagePlan = {
    version: 1,
    kind: 'image',
    name: options.name,
    source: { digest, mediaType },
    kept: image.platforms.map(kept),
    added,
    sourceDateEpoch,
  };
  const attach = added.length > 0 && options.sbom !== false;
  return {
    plan,
    source: image,
    documents,
    blobs: [...new Map(blobs.map((blob) => [blob.digest, blob])).values()],
    root,
    referrers: attach ? sbomReferrers(imageInventory(plan), root) : [],
  };
}

/** The CPU of a platform; undefined for other systems, and for CPUs that QEMU has not. */
export function archOf(platform: PlatformView): Arch | undefined {
  if (platform.os !== 'linux') return undefined;
  return ARCHES.find((arch) => arch.oci?.architecture === platform.architecture);
}

interface Choice {
  readonly host: Arch;
  readonly guest: Arch;
  readonly from: SourcePlatform;
  readonly config: Awaited<ReturnType<typeof readConfig>>;
  readonly way: 'compatible' | 'emulated';
  readonly emulator: PinnedEmulator;
}

/** For each missing host the guest it gets, with its emulator. */
async function choose(
  image: SourceImage,
  missing: readonly Arch[],
  launchers: ReadonlySet<string>,
  options: ExtendOptions,
): Promise<readonly Choice[]> {
  if (missing.length === 0) return [];
  const { store, signal, fromPlatform, warn } = options;
  const progress = options.progress ?? silentProgress;
  const guests = await findGuests(image, fromPlatform);
  const emulators = new Map<Arch, ReadonlyMap<string, PinnedEmulator>>();
  const choices = new Map<Arch, Choice>();
  const reasons = new Map<Arch, string>();
  // In rounds: all hosts of one guest get their emulators together.
  let open = missing.map((host) => ({ host, rest: [...rankGuests(host, [...guests.keys()])] }));
  while (open.length > 0) {
    const wanted = new Map<Arch, Arch[]>();
    for (const { host, rest } of open) {
      const guest = rest.find((each) => {
        const [row] = archMatrix(each, [host], {
          slices: new Set(),
          launchers,
          emulators: undefined,
        });
        if (row?.way === 'unsupported') reasons.set(host, row.reason);
        return row?.way === 'compatible' || row?.way === 'emulated';
      });
      if (guest) wanted.set(guest, [...(wanted.get(guest) ?? []), host]);
      rest.splice(0, guest ? rest.indexOf(guest) + 1 : rest.length);
    }
    for (const [guest, hosts] of wanted) {
      const found = await findEmulators(
        guest,
        hosts,
        options.providers ?? [parseEmulatorProvider('debian')],
        { store, progress, signal, warn },
      );
      emulators.set(guest, found);
      for (const host of hosts) {
        const emulator = found.get(host.name);
        if (!emulator) {
          reasons.set(host, `no provider has a qemu-${guest.name} for ${host.name}`);
          continue;
        }
        const chosen = guests.get(guest) as { from: SourcePlatform; config: Choice['config'] };
        const way = guest.compatibleWith.includes(host.name) ? 'compatible' : 'emulated';
        choices.set(host, { host, guest, ...chosen, way, emulator });
      }
    }
    open = open.filter(({ host, rest }) => !choices.has(host) && rest.length > 0);
  }
  const lost = missing.filter((host) => !choices.has(host));
  if (lost.length > 0) {
    throw new UportError({
      code: 'UPORT_HOST_UNSUPPORTED',
      category: 'input',
      message: `the image cannot be made to run on ${lost.map((host) => `${host.name} (${reasons.get(host) ?? 'no way is known'})`).join(', ')}`,
      hint: 'leave these hosts out with --host, or give emulators with --emulators dir:PATH',
      file: image.source.name,
    });
  }
  return missing.map((host) => choices.get(host) as Choice);
}

/** The platforms whose layers others can run, one for each CPU. */
async function findGuests(
  image: SourceImage,
  only: Arch | undefined,
): Promise<ReadonlyMap<Arch, { from: SourcePlatform; config: Choice['config'] }>> {
  const guests = new Map<Arch, { from: SourcePlatform; config: Choice['config'] }>();
  let launched = 0;
  for (const from of image.platforms) {
    const arch = archOf(from.platform);
    if (!arch || (only && arch !== only)) continue;
    const known = guests.get(arch)?.from.platform.variant;
    // Of several variants the plain one, or the one that all machines of this CPU have.
    const better =
      !guests.has(arch) ||
      (known !== undefined && known !== arch.oci?.variant && isPlain(from, arch));
    if (!better) continue;
    const config = await readConfig(image.source, from.manifest);
    if (config.runtime.entrypoint[0] === LAUNCHER_PATH) {
      launched++;
      continue;
    }
    guests.set(arch, { from, config });
  }
  if (guests.size > 0) return guests;
  const has = image.platforms.map(({ platform }) => shownPlatform(platform)).join(', ') || 'none';
  if (only) {
    throw imageFault(
      'UPORT_IMAGE_PLATFORM',
      image.source.name,
      `the image has no platform of ${only.name} to take the layers from`,
      `name one of its own with --from-platform; it has: ${has}`,
    );
  }
  throw imageFault(
    'UPORT_IMAGE_NO_GUEST',
    image.source.name,
    launched > 0
      ? 'its platforms that could be run elsewhere are emulated already'
      : 'no platform of the image is Linux on a CPU that QEMU knows',
    `give an image for Linux; this one has: ${has}`,
  );
}

/** What is to be replaced in the layers of each guest. Copies of programs go into the store. */
async function shimGuests(
  image: SourceImage,
  choices: readonly Choice[],
  options: ExtendOptions,
): Promise<ReadonlyMap<Arch, ShimPlan>> {
  const plans = new Map<Arch, ShimPlan>();
  const { shim: request, store, signal } = options;
  if (request === undefined) return plans;
  const progress = options.progress ?? silentProgress;
  for (const { guest, from, config } of choices) {
    if (plans.has(guest)) continue;
    const flat = await flattenImage(image.source, from, {
      keep: 'programs',
      store,
      progress,
      signal,
    });
    try {
      const { entrypoint, cmd, env, workdir } = config.runtime;
      const plan = await planShims({
        request,
        guest,
        entries: flat.entries,
        head: async (file) => flat.heads.get(file),
        env,
        workdir,
        entrypoint: [...entrypoint, ...cmd],
      });
      for (const { digest } of plan.copies) await keepCopy(flat, digest, store, signal);
      plans.set(guest, plan);
    } finally {
      await flat.close();
    }
  }
  return plans;
}

async function keepCopy(
  flat: FlatImage,
  digest: Digest,
  store: Store,
  signal: AbortSignal,
): Promise<void> {
  const place = flat.content.locate(digest);
  if (place === undefined) throw new TypeError(`${digest} was not kept`);
  const { file, ...part } = placeOf(place);
  const bytes = part.size === 0 ? [] : createReadStream(file, rangeOf(part));
  await store.put(Readable.from(bytes), { expected: digest, signal });
}

function isPlain(from: SourcePlatform, arch: Arch): boolean {
  const { variant } = from.platform;
  return variant === undefined || variant === arch.oci?.variant;
}

export function shownPlatform(platform: PlatformView): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part)
    .join('/')
    .slice(0, 200);
}

function kept({ platform, descriptor }: SourcePlatform): KeptPlatform {
  return { platform: shownPlatform(platform), digest: descriptor.digest };
}

function newRoot(image: SourceImage, additions: readonly IndexAddition[]): SourceDocument {
  const { root } = image;
  const [alone] = root.isIndex ? [] : image.platforms;
  const raw: Json = root.isIndex ? parseIndexDocument(root.bytes, image.source.name).raw : {};
  const { mediaType, bytes } = deriveIndex(
    raw,
    alone && {
      mediaType: root.mediaType,
      digest: root.digest,
      size: root.size,
      platform: { ...alone.platform },
    },
    additions,
  );
  return { mediaType, digest: digestOf(bytes), size: bytes.length, bytes, isIndex: true };
}

function bytesBlob(digest: Digest, bytes: Buffer): PushBlob {
  return {
    digest,
    size: bytes.length,
    async *open() {
      yield bytes;
    },
  };
}

/** A layer of what is added, in the store. */
async function packLayer(
  plan: LayerPlan,
  store: Store,
  mtime: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ digest: Digest; size: number; diffId: Digest; file: string }> {
  const { entries } = plan;
  const key = layerKey({ compression: 'gzip', level: LEVEL, mtime, entries });
  const known = await lookupCached(store, key);
  if (known) return known;
  const bytes = entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0);
  const task = progress.start(`pack ${plan.name}`, bytes, 'bytes');
  const file = path.join(store.root, 'tmp', temporaryName());
  try {
    const compressor = createCompressor('gzip', LEVEL);
    const layer = await writeLayer(file, entries, { compressor, mtime, signal, task });
    await store.putFile(file, { expected: layer.digest, signal });
    await store.record(key, layer);
    return { ...layer, file: store.pathOf(layer.digest) };
  } finally {
    task.done();
    await rm(file, { force: true });
  }
}
