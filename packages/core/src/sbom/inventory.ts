// What travels in an artifact, as both SBOM formats tell it. Pure: from a plan.

import type { ImagePlan } from '../image/image-plan.ts';
import { displayBytes } from '../model/byte-path.ts';
import { type Digest, digestHex } from '../model/digest.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type {
  PinnedEmulator,
  PinnedFile,
  PinnedPackage,
  PinnedTranslator,
  Plan,
  SourcePackage,
} from '../plan/plan.ts';

/** A part of an artifact that has a version and a maker. */
export interface Component {
  /** Of letters, digits, `.` and `-`, the same for the same component. */
  readonly id: string;
  readonly kind: 'emulator' | 'launcher' | 'library' | 'package';
  readonly name: string;
  readonly version: string | undefined;
  /** SPDX expression; undefined when it is not known. */
  readonly license: string | undefined;
  readonly supplier: string;
  /** Package URL. */
  readonly purl: string | undefined;
  /** Of the file in the artifact or of the package, as `of` says. */
  readonly digest: Digest | undefined;
  readonly digestOf: 'file' | 'package';
  readonly description: string;
  /** The components that it is part of, by id; undefined for parts of the artifact itself. */
  readonly linkedInto?: readonly string[];
}

/** A file of the app. */
export interface InventoryFile {
  readonly path: BytePath;
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
}

export interface Inventory {
  readonly app: string;
  /** What the app is, in a few words. */
  readonly description: string;
  /** Names the plan: the same for the same contents. */
  readonly components: readonly Component[];
  readonly files: readonly InventoryFile[];
  /** ISO 8601, from the plan's source date. */
  readonly created: string;
}

/** What the launchers are linked from. */
const LAUNCHER_PARTS = [
  { name: 'musl', version: '1.2.5', license: 'MIT', supplier: 'musl libc' },
  { name: 'zstd', version: '1.5.7', license: 'BSD-3-Clause', supplier: 'Meta Platforms' },
] as const;

/** What a plan puts into its artifacts. */
export function inventoryOf(plan: Plan): Inventory {
  const packages = (plan.packages ?? []).map(packageComponent);
  return {
    app: plan.app.name,
    description: `a program for ${plan.app.guest}`,
    components: sortedComponents([...hostComponents(plan.hosts), ...packages]),
    files: plan.payload.entries.flatMap((entry) =>
      entry.type === 'file'
        ? [
            {
              path: entry.path,
              name: displayBytes(entry.path),
              size: entry.size,
              digest: entry.digest,
            },
          ]
        : [],
    ),
    created: timeOf(plan),
  };
}

function packageComponent(each: PinnedPackage): Component {
  return {
    id: idOf('debian', each.name, each.architecture),
    kind: 'package',
    name: each.name,
    version: each.version,
    license: undefined,
    supplier: 'Debian',
    purl: debianPurl(each.name, each.version, each.architecture, each),
    digest: each.digest,
    digestOf: 'package',
    description: `Debian package, from ${each.suite}`,
  };
}

/** What was put into an existing image: its own layers are not read, so they are not told of. */
export function imageInventory(plan: ImagePlan): Inventory {
  return {
    app: plan.name,
    description: `what uport added to the image ${plan.source.digest}`,
    components: sortedComponents(hostComponents(plan.added.map(({ host }) => host))),
    files: [],
    created: timeOf(plan),
  };
}

function timeOf({ sourceDateEpoch }: { readonly sourceDateEpoch: number }): string {
  return new Date(sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z');
}

/** Each once, by id. */
function sortedComponents(all: readonly Component[]): readonly Component[] {
  const byId = new Map<string, Component>();
  for (const component of all) {
    const known = byId.get(component.id);
    const linkedInto = [...(known?.linkedInto ?? []), ...(component.linkedInto ?? [])];
    byId.set(component.id, {
      ...(known ?? component),
      ...(linkedInto.length > 0 && { linkedInto: [...new Set(linkedInto)].sort() }),
    });
  }
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A host as far as it brings something of its own. */
interface EquippedHost {
  readonly host: string;
  readonly launcher?: PinnedFile;
  readonly emulator?: PinnedEmulator;
  readonly translator?: PinnedTranslator;
}

function hostComponents(hosts: readonly EquippedHost[]): readonly Component[] {
  const components: Component[] = [];
  const add = (component: Component): void => void components.push(component);
  for (const host of hosts) {
    if (host.launcher) {
      const id = `launcher-${host.host}`;
      add({
        id,
        kind: 'launcher',
        name: `uport-launcher-${host.host}`,
        version: undefined,
        license: 'MIT',
        supplier: 'uport',
        purl: undefined,
        digest: host.launcher.digest,
        digestOf: 'file',
        description: `starts the app on ${host.host}`,
      });
      for (const part of LAUNCHER_PARTS) {
        add({
          id: `${part.name}-in-launchers`,
          kind: 'library',
          ...part,
          purl: part.version && `pkg:generic/${part.name}@${part.version}`,
          digest: undefined,
          digestOf: 'file',
          description: 'linked into the launchers',
          linkedInto: [id],
        });
      }
    }
    if (host.translator) for (const each of translatorComponents(host.translator)) add(each);
    if (host.emulator) {
      const emulator = emulatorComponent(host.emulator);
      add(emulator);
      for (const source of host.emulator.builtUsing ?? []) add(linkedSource(source, emulator));
    }
  }
  return components;
}

/** The emulator, and the packages of the libraries that travel with it. */
function translatorComponents({
  kind,
  host,
  guest,
  version,
  files,
  packages,
}: PinnedTranslator): readonly Component[] {
  const [main, ...libraries] = packages;
  const program = {
    id: idOf(kind, guest, 'on', host),
    kind: 'emulator' as const,
    name: kind,
    license: 'MIT',
    digest: files.find(({ name }) => name === kind)?.digest,
    digestOf: 'file' as const,
    description: `runs programs of ${guest} on ${host}`,
    ...(main
      ? {
          version: main.version,
          supplier: 'Debian',
          purl: debianPurl(main.name, main.version, main.architecture, main),
        }
      : { version, supplier: 'NOASSERTION', purl: `pkg:generic/${kind}@${encode(version)}` }),
  };
  return [program, ...libraries.map(packageComponent)];
}

/** A library that is linked into an emulator: Debian tells its source package. */
function linkedSource({ name, version }: SourcePackage, { id }: Component): Component {
  return {
    id: idOf('source', name, version),
    kind: 'library',
    name,
    version,
    license: undefined,
    supplier: 'Debian',
    purl: `pkg:deb/debian/${encode(name)}@${encode(version)}?arch=source`,
    digest: undefined,
    digestOf: 'file',
    description: 'linked into emulators',
    linkedInto: [id],
  };
}
function emulatorComponent(emulator: PinnedEmulator): Component {
  const { origin, kind, guest, host, version, digest } = emulator;
  const common = {
    id: idOf(kind, guest, 'on', host),
    kind: 'emulator' as const,
    name: `${kind}-${guest}`,
    license: kind === 'qemu' ? 'GPL-2.0-only' : undefined,
    digest,
    digestOf: 'file' as const,
    description: `runs programs of ${guest} on ${host}`,
  };
  if (origin.provider !== 'debian') {
    const purl = `pkg:generic/${kind}@${encode(version)}`;
    return { ...common, version, supplier: 'NOASSERTION', purl };
  }
  const arch = /_([a-z0-9-]+)\.deb$/.exec(origin.packagePath)?.[1] ?? host;
  return {
    ...common,
    version: origin.packageVersion,
    supplier: 'Debian',
    purl: debianPurl(origin.package, origin.packageVersion, arch, origin),
  };
}

function debianPurl(
  name: string,
  version: string,
  architecture: string,
  {
    suite,
    sourcePackage,
    sourceVersion,
  }: { suite: string; sourcePackage: string; sourceVersion: string },
): string {
  const qualifiers = [
    `arch=${encode(architecture)}`,
    `distro=${encode(`debian-${suite}`)}`,
    ...(sourcePackage === name && sourceVersion === version
      ? []
      : [`upstream=${encode(`${sourcePackage}@${sourceVersion}`)}`]),
  ];
  return `pkg:deb/debian/${encode(name)}@${encode(version)}?${qualifiers.join('&')}`;
}

/** Percent-encoding of the purl specification: a colon stands for itself. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':');
}

function idOf(...parts: readonly string[]): string {
  return parts.join('-').replace(/[^A-Za-z0-9.-]/g, '-');
}

/** A UUID made of a digest: the same for the same contents (RFC 9562, version 8). */
export function uuidOf(digest: Digest): string {
  const hex = [...digestHex(digest).slice(0, 32)];
  hex[12] = '8';
  hex[16] = '89ab'[Number.parseInt(hex[16] as string, 16) & 3] as string;
  const text = hex.join('');
  return [0, 8, 12, 16, 20].map((at, i) => text.slice(at, [8, 12, 16, 20, 32][i])).join('-');
}
