import type { Arch } from '../model/arch.ts';
import type { ContentSource } from '../model/content.ts';
import type { Digest } from '../model/digest.ts';
import type { BytePath, PayloadTree } from '../model/payload-tree.ts';
import type { ReferenceReport } from '../nix-closure/references/rewrite-references.ts';
import type { AppPlan } from '../plan/plan.ts';

/** An input, read once: what travels, what starts, and where the bytes lie. */
export interface App {
  readonly name: string;
  readonly guest: Arch;
  readonly linkage: AppPlan['linkage'];
  /** The loader that a dynamic target names. */
  readonly interpreter: string | undefined;
  /** It was a folder, not a single program. */
  readonly wholeFolder: boolean;
  /** The payload is a whole root file system: its top is `/`. */
  readonly wholeRoot?: boolean;
  /** Where the paths that users name begin; `app` unless told. */
  readonly folder?: BytePath;
  /** The program that starts; a script or an ELF file. */
  readonly program: BytePath;
  /** The ELF file that decided the guest's CPU. */
  readonly target: BytePath;
  /** Folders of the payload in which programs look for libraries by absolute paths, first to last. */
  readonly libraryFolders?: readonly BytePath[];
  /** What became of the references of a Nix closure that was moved. */
  readonly storeReferences?: ReferenceReport;
  readonly payload: PayloadTree;
  readonly content: ContentSource;
  /** Files of the payload that are FatELF containers. */
  readonly fatElfs: ReadonlySet<Digest>;
}
