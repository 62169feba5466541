import { Flags } from '@oclif/core';
import {
  type EmulatorProvider,
  parseEmulatorChoice,
  parseEmulatorProvider,
  parseStockProvider,
} from '@uport/core';

/** `--emulators debian:trixie`, repeatable. */
export const emulatorsFlag = Flags.custom<EmulatorProvider>({
  summary:
    'Where emulators come from: debian, debian:SUITE, dir:PATH, nix or nix:STORE-PATH. The newest found wins.',
  helpValue: 'PROVIDER',
  multiple: true,
  multipleNonGreedy: true,
  parse: async (spec) => parseEmulatorProvider(spec),
});

/** `--emulator box64`, repeatable. */
export const emulatorFlag = Flags.custom<string>({
  summary:
    'An emulator that is tried before QEMU, for one host or wherever there is one: box64 (x86_64 programs on arm64, riscv64, loong64).',
  helpValue: '[HOST=]NAME',
  multiple: true,
  multipleNonGreedy: true,
  parse: async (spec) => {
    parseEmulatorChoice(spec);
    return spec;
  },
});

/** `--emulator-preparation none` */
export const preparationFlag = Flags.custom<'proven' | 'none'>({
  summary:
    'Make emulators start faster where that is proven to work, or take them as they are. Default: proven.',
  options: ['proven', 'none'],
  helpValue: 'proven|none',
});

/** The sources of emulators that the two flags ask for; none for the default. */
export function providersOf(flags: {
  readonly emulators?: readonly EmulatorProvider[] | undefined;
  readonly 'emulator-preparation'?: string | undefined;
}): { readonly providers?: readonly EmulatorProvider[] } {
  if (flags['emulator-preparation'] !== 'none') {
    return flags.emulators ? { providers: flags.emulators } : {};
  }
  const names = flags.emulators?.map((provider) => provider.name) ?? ['debian'];
  return { providers: names.map(parseStockProvider) };
}

/** How a registry is talked to. */
export const pushFlags = {
  insecure: Flags.boolean({ summary: 'Talk plain HTTP to the registry.', helpGroup: 'PUSH' }),
  'mount-from': Flags.string({
    summary: 'A repository of the same registry that may hold the blobs already.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'REPO',
    helpGroup: 'PUSH',
  }),
};
