import { Flags } from '@oclif/core';
import { DEFAULT_STORE_PREFIX, type NixImportOptions } from '@uport/core';

const GROUP = 'NIX STORE';

/** Where an app that lies in a Nix store comes from. */
export const nixImportFlags = {
  'nix-store': Flags.string({
    summary:
      'Where the store path comes from: a folder with nix/store in it, or a binary cache (file:///DIR, https://…, s3://…).',
    helpValue: 'STORE',
    helpGroup: GROUP,
  }),
  'nix-trusted-key': Flags.string({
    summary:
      "A public key that signs for the binary cache, as NAME:BASE64. Default: cache.nixos.org's.",
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'KEY',
    helpGroup: GROUP,
  }),
  'store-references': Flags.option({
    summary:
      'keep: the closure lies in /nix/store in the artifact too. rewrite: it lies elsewhere, and its files name that place. Default: keep.',
    options: ['keep', 'rewrite'] as const,
    helpGroup: GROUP,
  })(),
  'store-prefix': Flags.string({
    summary: `Where a rewritten closure lies: an absolute path of at most 34 bytes. Default: ${DEFAULT_STORE_PREFIX}.`,
    helpValue: 'DIR',
    helpGroup: GROUP,
  }),
};

export function nixImport(flags: {
  readonly 'nix-store'?: string | undefined;
  readonly 'nix-trusted-key'?: readonly string[] | undefined;
  readonly 'store-references'?: 'keep' | 'rewrite' | undefined;
  readonly 'store-prefix'?: string | undefined;
}): NixImportOptions {
  const { 'store-references': references, 'store-prefix': storePrefix } = flags;
  return {
    ...(flags['nix-store'] !== undefined && { store: flags['nix-store'] }),
    ...(flags['nix-trusted-key'] && { trustedKeys: flags['nix-trusted-key'] }),
    ...(references && { references }),
    ...(storePrefix !== undefined && { storePrefix }),
  };
}
