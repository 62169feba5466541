import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadTree } from '../model/payload-tree.ts';
import type { ShimPlan } from './shims.ts';

/** How an app starts on a host. */
export type Way = 'native' | 'compatible' | 'emulated' | 'unsupported';

/** A file pinned by what is in it. */
export interface PinnedFile {
  readonly digest: Digest;
  readonly size: number;
}

/** Where an emulator came from, enough to fetch the same bytes again. */
export type EmulatorOrigin =
  | { readonly provider: 'dir'; readonly file: string }
  | {
      readonly provider: 'nix';
      readonly storePath: string;
      /** Of the store path's NAR, `sha256-BASE64`. */
      readonly narHash: string;
      /** Inside the store path. */
      readonly file: string;
    }
  | {
      readonly provider: 'debian';
      readonly suite: string;
      readonly package: string;
      readonly packageVersion: string;
      readonly sourcePackage: string;
      readonly sourceVersion: string;
      /** The .deb, relative to the mirror. */
      readonly packagePath: string;
      readonly packageDigest: Digest;
      /** In bytes. */
      readonly packageSize: number;
    };

/** A source package of Debian. */
export interface SourcePackage {
  readonly name: string;
  readonly version: string;
}

/** A Debian package whose files are in the payload, enough to fetch the same bytes again. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** Debian's name of it, or `all`. */
  readonly architecture: string;
  readonly suite: string;
  readonly sourcePackage: string;
  readonly sourceVersion: string;
  /** The .deb, relative to the mirror. */
  readonly path: string;
  /** Of the .deb. */
  readonly digest: Digest;
  /** Of the .deb, in bytes. */
  readonly size: number;
}

/** A static program of `host` that runs programs of `guest`. */
export interface PinnedEmulator extends PinnedFile {
  readonly kind: 'qemu';
  readonly host: string;
  readonly guest: string;
  /** The emulator's own version, such as `11.1.2`. */
  readonly version: string;
  readonly origin: EmulatorOrigin;
  /** The file as its origin has it, when this one was made from it to start faster. */
  readonly preparedFrom?: Digest;
  /** The source packages of libraries that are linked into it, as its Debian package says. */
  readonly builtUsing?: readonly SourcePackage[];
}

/** A file of a translator's folder, by its name there. */
export interface TranslatorFile extends PinnedFile {
  readonly name: string;
}

/**
 * An emulator other than QEMU, which a host tries before it. Unlike QEMU it is a dynamic program: its
 * loader and libraries travel along.
 */
export interface PinnedTranslator {
  readonly kind: 'box64';
  readonly host: string;
  readonly guest: string;
  /** Its own, such as `0.4.3`. */
  readonly version: string;
  /** Its ELF interpreter, one of `files`. */
  readonly loader: string;
  /** The program (`box64`), its loader, libraries, and a program of the guest to try it with; by name. */
  readonly files: readonly TranslatorFile[];
  /** The Debian packages that the files are from, the emulator's own first; none: from a folder. */
  readonly packages: readonly PinnedPackage[];
}

/** A file for one host, and the file of the payload whose place it takes there. */
export interface NativeSlice {
  readonly path: BytePath;
  readonly file: PinnedFile;
}

/** What is decided for one host: one row of the arch matrix with everything it needs. */
export type HostPlan =
  | {
      readonly host: string;
      readonly way: 'native';
      /** Native builds that take the place of files in the payload; without any the target itself is of this CPU. */
      readonly slices: readonly NativeSlice[];
      /** Absent when there is none for the host; images do without. */
      readonly launcher?: PinnedFile;
      readonly notice?: PinnedFile;
    }
  | {
      readonly host: string;
      readonly way: 'compatible' | 'emulated';
      readonly launcher: PinnedFile;
      readonly emulator: PinnedEmulator;
      /** Tried before `emulator`, which takes its place when it does not work there. */
      readonly translator?: PinnedTranslator;
      /** The guest CPU that the emulator is told to be, as its `-cpu` takes it; absent: its own default. */
      readonly cpu?: string;
      /** Licences and source of launcher and emulator, for artifacts of this host alone. */
      readonly notice?: PinnedFile;
    };

/** The app: the guest's CPU and the program that starts. */
export interface AppPlan {
  readonly name: string;
  readonly guest: string;
  readonly linkage: 'static' | 'static-pie' | 'dynamic';
  /** Where the paths that users name begin; `app` unless told. */
  readonly folder?: BytePath;
  /** The payload is a whole root file system: its top is `/`. */
  readonly wholeRoot?: true;
  /** What starts: the target binary, a link to it, or a script. */
  readonly program: BytePath;
  /** The target binary inside the payload tree. */
  readonly target: BytePath;
  /** The dynamic linker that the target names, where it lies in the payload. */
  readonly loader?: BytePath;
  /** Folders of the payload in which programs look for libraries by absolute paths, first to last. */
  readonly libraryFolders?: readonly BytePath[];
}

/** What only programs of the guest's CPU get: host programs never see it. */
export interface GuestSettings {
  /** Variables taken out of the app's environment. */
  readonly unset: readonly string[];
  /** `NAME=VALUE`. */
  readonly env: readonly string[];
  /** Libraries of the payload, for LD_PRELOAD. */
  readonly preload: readonly BytePath[];
  /** Folders of the payload, for LD_LIBRARY_PATH. */
  readonly libraryFolders: readonly BytePath[];
}

/** What an image's config says beyond the platform. Strings are text: image-spec configs are JSON. */
export interface ImageSettings {
  /** The app's own entrypoint, without the launcher. */
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=VALUE`. */
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `80`, `80/tcp`, `53/udp`. */
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Everything decided, each input pinned by digest. Plain data: it survives JSON, and the same plan
 * makes the same bytes on any machine.
 */
export interface Plan {
  readonly version: 1;
  readonly app: AppPlan;
  readonly payload: PayloadTree;
  /** Debian packages whose files are in the payload, by name. */
  readonly packages?: readonly PinnedPackage[];
  readonly hosts: readonly HostPlan[];
  readonly image: ImageSettings;
  /** Programs in whose places the launcher lies, in images for hosts that need it. */
  readonly shims?: ShimPlan;
  /** Absent when the guest's programs get nothing of their own. */
  readonly guest?: GuestSettings;
  /** Licences and source of all launchers and emulators, for artifacts that hold them all. */
  readonly notice?: PinnedFile;
  /** Seconds since 1970; the time written into artifacts. */
  readonly sourceDateEpoch: number;
}
