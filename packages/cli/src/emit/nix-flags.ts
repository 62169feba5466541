import { readFileSync } from 'node:fs';
import { Flags } from '@oclif/core';
import {
  type NixSigningKey,
  nixEmitter,
  nixPackage,
  parseNixSigningKey,
  systemError,
  UportError,
} from '@uport/core';
import { type EmitFlags, levelOf } from './emit-flags.ts';
import { bin, binsOf } from './universal-flags.ts';

const GROUP = 'NIX';

export const nixFlags = {
  name: nixEmitter.name,
  flags: {
    bin,
    pname: Flags.string({
      summary: "The Nix package's name. Default: the app's.",
      helpValue: 'NAME',
      helpGroup: GROUP,
    }),
    'version-string': Flags.string({
      summary: "The Nix package's version.",
      default: '0',
      helpValue: 'VERSION',
      helpGroup: GROUP,
    }),
    description: Flags.string({
      summary: 'What the Nix package is, in one line.',
      helpValue: 'TEXT',
      helpGroup: GROUP,
    }),
    license: Flags.string({
      summary: "The Nix package's licence: an SPDX identifier, or unfree for closed source.",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'ID',
      helpGroup: GROUP,
    }),
    cache: Flags.string({
      summary:
        'A Nix binary cache to add the package to: a folder, file:///DIR, https://HOST/PATH or s3://BUCKET?region=REGION.',
      helpValue: 'CACHE',
      helpGroup: GROUP,
    }),
    'cache-key': Flags.string({
      summary: 'The secret key file that signs for the cache.',
      helpValue: 'FILE',
      dependsOn: ['cache'],
      helpGroup: GROUP,
    }),
    url: Flags.string({
      summary: 'Where Nix will fetch universal.nar from; it is written beside the folder.',
      helpValue: 'URL',
      helpGroup: GROUP,
    }),
  },
  request(flags) {
    const text = (name: string) => flags[name] as string | undefined;
    const pname = text('pname');
    const description = text('description');
    const url = text('url');
    const cache = text('cache');
    const cacheKey = text('cache-key');
    return nixPackage({
      version: text('version-string') ?? '0',
      licenses: (flags.license as string[] | undefined) ?? [],
      bins: binsOf(flags),
      ...(pname !== undefined && { pname }),
      ...(description !== undefined && { description }),
      ...(url !== undefined && { url }),
      ...(cache !== undefined && { cache }),
      ...(cacheKey !== undefined && { cacheKey: readKey(cacheKey) }),
      ...levelOf(flags),
    });
  },
  // Without `path:` Nix looks for a git repository, and does not see what git ignores.
  hint: ({ path: place }) => (/^[\w./-]+\/nix$/.test(place) ? `nix run path:${place}` : undefined),
} satisfies EmitFlags;

function readKey(file: string): NixSigningKey {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw systemError(error, file);
  }
  try {
    return parseNixSigningKey(text);
  } catch (error) {
    throw error instanceof UportError ? error.inFile(file) : error;
  }
}
