import { UportError } from '@uport/errors';

export function pathMissing(storePath: string, store: string, neededBy?: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_PATH_MISSING',
    category: 'input',
    message: `${store} has no ${storePath}${neededBy === undefined ? '' : `, which ${neededBy} needs`}`,
    hint: 'name the store that has it with --nix-store: a folder with nix/store in it, or the address of a binary cache',
    file: storePath,
  });
}
