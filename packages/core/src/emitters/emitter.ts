import type { Arch } from '../model/arch.ts';
import type { ContentSource } from '../model/content.ts';
import type { Progress } from '../model/progress.ts';
import type { Plan } from '../plan/plan.ts';
import type { Store } from '../store/store.ts';

export interface EmitContext {
  /** The bytes that the plan's digests name. */
  readonly content: ContentSource;
  readonly store: Store;
  /** An existing folder; an emitter writes only names of its own in it. */
  readonly outDir: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** One thing that was written. */
export interface Artifact {
  readonly emitter: string;
  /** Absolute path of the folder or file. */
  readonly path: string;
  /** The digest that names the whole artifact, such as an image index's. */
  readonly digest: string;
  readonly size: number;
}

/** A setting of images that other artifacts may have no place for. */
export type CarriedSetting =
  | 'user'
  | 'labels'
  | 'exposedPorts'
  | 'volumes'
  | 'stopSignal'
  | 'annotations';

/** What only an image says: other artifacts are started by their user, from a shell. */
export const ONLY_IN_IMAGES: readonly CarriedSetting[] = Object.freeze([
  'user',
  'labels',
  'exposedPorts',
  'volumes',
  'stopSignal',
  'annotations',
]);

/** A way to write a plan down. A folder under `emitters/` holds one; nothing else names it but `emitters/index.ts`. */
export interface Emitter<Options = unknown> {
  readonly name: string;
  readonly summary: string;
  /** Settings that it has no place for. */
  readonly cannotCarry?: readonly CarriedSetting[];
  /** Why it can make nothing for a host; undefined when it can. */
  refuseHost?(host: Arch): string | undefined;
  emit(plan: Plan, options: Options, context: EmitContext): Promise<readonly Artifact[]>;
}

/** An emitter with its options, ready for a plan. */
export interface EmitRequest {
  readonly emitter: string;
  readonly cannotCarry: readonly CarriedSetting[];
  refuseHost?(host: Arch): string | undefined;
  emit(plan: Plan, context: EmitContext): Promise<readonly Artifact[]>;
}

export function emitWith<Options>(emitter: Emitter<Options>, options: Options): EmitRequest {
  return {
    emitter: emitter.name,
    cannotCarry: emitter.cannotCarry ?? [],
    ...(emitter.refuseHost && { refuseHost: emitter.refuseHost }),
    emit: (plan, context) => emitter.emit(plan, options, context),
  };
}
