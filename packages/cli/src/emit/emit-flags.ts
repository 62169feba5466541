import type { Interfaces } from '@oclif/core';
import type { Artifact, EmitRequest } from '@uport/core';

/** An emitter as the build command offers it: its flags, and how they become its options. */
export interface EmitFlags<F extends Interfaces.FlagInput = Interfaces.FlagInput> {
  readonly name: string;
  readonly flags: F;
  request(flags: Readonly<Record<string, unknown>>): EmitRequest;
  /** A command to go on with, where it is not plain from the artifact's path. */
  hint?(artifact: Artifact): string | undefined;
}

/** `--compression-level`, when it was given. */
export function levelOf(flags: Readonly<Record<string, unknown>>): { readonly level?: number } {
  const level = flags['compression-level'];
  return typeof level === 'number' ? { level } : {};
}
