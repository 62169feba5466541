import { Flags } from '@oclif/core';
import { nixEmitter, nixPackage } from '@uport/core';
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
    return nixPackage({
      version: text('version-string') ?? '0',
      licenses: (flags.license as string[] | undefined) ?? [],
      bins: binsOf(flags),
      ...(pname !== undefined && { pname }),
      ...(description !== undefined && { description }),
      ...(url !== undefined && { url }),
      ...levelOf(flags),
    });
  },
} satisfies EmitFlags;
