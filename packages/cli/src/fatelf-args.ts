import { Args, Flags } from '@oclif/core';

/** The arguments that the commands for FatELF share, in the reference tools' words and order. */
export const outArg = () =>
  Args.string({ description: 'the file to write', required: true, ignoreStdin: true });

export const fatElfArg = () =>
  Args.string({ description: 'a FatELF file', required: true, ignoreStdin: true });

export const targetArg = () =>
  Args.string({
    description:
      'which program: recordN, or fields joined with colons, such as x86_64 or ppc64:64bit:be',
    required: true,
    ignoreStdin: true,
  });

export const noTrailingFlag = () =>
  Flags.boolean({ summary: 'Leave out the trailing data that follows the last ELF.' });
