import { inject } from 'vitest';

/** Every emitter of the command line, with the flags that it is tested with. */
export const EMITTERS: readonly { readonly name: string; readonly flags: readonly string[] }[] = [
  { name: 'oci', flags: [] },
  { name: 'universal', flags: [] },
  { name: 'fatelf', flags: [] },
  { name: 'nix', flags: [] },
  { name: 'oci with archives and zstd', flags: ['--archive', '--compression', 'zstd'] },
];

/** Flags of a build that needs no network. */
export function offlineFlags(): readonly string[] {
  return ['--emulators', inject('emulators')];
}
