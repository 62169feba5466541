import { Flags } from '@oclif/core';
import { fatelf, fatelfEmitter, universal, universalEmitter } from '@uport/core';
import { record } from '../pairs.ts';
import { type EmitFlags, levelOf } from './emit-flags.ts';

const GROUP = 'UNIVERSAL AND FATELF FILES';

/** Shared by every emitter whose files can be called by several names. */
export const bin = Flags.string({
  summary: 'A program of the folder, and the name to call it by. The first is the default.',
  multiple: true,
  multipleNonGreedy: true,
  helpValue: 'NAME=PATH',
  helpGroup: GROUP,
});

export const binsOf = (flags: Readonly<Record<string, unknown>>) =>
  record((flags.bin as string[] | undefined) ?? [], '--bin');

export const universalFlags = {
  name: universalEmitter.name,
  flags: {
    bin,
    'per-host': Flags.boolean({
      summary: 'One plain ELF file for each host (APP-x86_64 …), without sh.',
      helpGroup: GROUP,
    }),
  },
  request: (flags) =>
    universal({ perHost: flags['per-host'] === true, bins: binsOf(flags), ...levelOf(flags) }),
} satisfies EmitFlags;

export const fatelfFlags = {
  name: fatelfEmitter.name,
  flags: { bin },
  request: (flags) => fatelf({ bins: binsOf(flags), ...levelOf(flags) }),
} satisfies EmitFlags;
