import { Flags } from '@oclif/core';
import type { GuestOptions } from '@uport/core';
import { pairOf } from './pairs.ts';

const GROUP = "THE GUEST'S PROGRAMS";

/** What the guest's programs get and host programs never see. */
export const guestFlags = {
  lib: Flags.string({
    summary:
      'A shared library that takes the place of the one with the same soname, or is added where there is none.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'FILE',
    helpGroup: GROUP,
  }),
  cpu: Flags.string({
    summary: "The CPU that emulators pretend to be, as QEMU's -cpu takes it. Default: QEMU's own.",
    helpValue: 'MODEL[,FEATURE…]',
    helpGroup: GROUP,
    allowStdin: false,
  }),
  preload: Flags.string({
    summary: 'A shared library that is loaded before all others (LD_PRELOAD).',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'FILE',
    helpGroup: GROUP,
  }),
  'guest-env': Flags.string({
    summary: "A variable for programs of the guest's CPU only, such as GLIBC_TUNABLES.",
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME=VALUE',
    helpGroup: GROUP,
  }),
  unset: Flags.string({
    summary: "A variable to take out of the app's environment.",
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME',
    helpGroup: GROUP,
  }),
};

/** The values of these flags. */
export interface GuestFlags {
  readonly lib?: readonly string[] | undefined;
  readonly preload?: readonly string[] | undefined;
  readonly cpu?: string | undefined;
  readonly 'guest-env'?: readonly string[] | undefined;
  readonly unset?: readonly string[] | undefined;
}

export function guestOptions(flags: GuestFlags): GuestOptions {
  return {
    ...(flags.lib && { libraries: flags.lib }),
    ...(flags.preload && { preload: flags.preload }),
    ...(flags.cpu !== undefined && { cpu: flags.cpu }),
    ...(flags.unset && { unset: flags.unset }),
    ...(flags['guest-env'] && {
      env: flags['guest-env'].map((pair) => pairOf(pair, '--guest-env').join('=')),
    }),
  };
}
