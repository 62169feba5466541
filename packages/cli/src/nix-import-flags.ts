import { Flags } from '@oclif/core';
import type { NixImportOptions } from '@uport/core';

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
};

export function nixImport(flags: {
  readonly 'nix-store'?: string | undefined;
  readonly 'nix-trusted-key'?: readonly string[] | undefined;
}): NixImportOptions {
  return {
    ...(flags['nix-store'] !== undefined && { store: flags['nix-store'] }),
    ...(flags['nix-trusted-key'] && { trustedKeys: flags['nix-trusted-key'] }),
  };
}
