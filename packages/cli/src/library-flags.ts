import { Flags } from '@oclif/core';
import type { DebianSettings, LibrarySource } from '@uport/core';
import { usage } from './pairs.ts';

const GROUP = 'LIBRARIES';

/** How `uport build` takes the libraries that a dynamic program lacks from Debian. */
export const libraryFlags = {
  'from-debian': Flags.string({
    summary:
      "Take the libraries that the app lacks from a Debian suite, for the app's CPU; several are asked in order.",
    helpValue: 'SUITE',
    multiple: true,
    multipleNonGreedy: true,
    delimiter: ',',
    helpGroup: GROUP,
  }),
  'debian-package': Flags.string({
    summary: 'A Debian package to take along besides, such as ca-certificates or locales.',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
    delimiter: ',',
    helpGroup: GROUP,
  }),
  'opened-libraries': Flags.boolean({
    summary: 'Also take libraries that the programs open at run time by a literal name.',
    helpGroup: GROUP,
  }),
  'debian-mirror': Flags.string({
    summary: 'The mirror to ask: the folder that holds dists/ and pool/.',
    helpValue: 'URL',
    helpGroup: GROUP,
  }),
  'debian-keyring': Flags.string({
    summary: "A file of OpenPGP keys to believe in place of Debian's.",
    helpValue: 'FILE',
    helpGroup: GROUP,
  }),
  'debian-archived': Flags.boolean({
    summary:
      'The suites are archived: a signature counts if its key was valid when it signed, and Release files may be past their date.',
    helpGroup: GROUP,
  }),
};

interface LibraryFlags {
  readonly 'from-debian'?: readonly string[] | undefined;
  readonly 'debian-package'?: readonly string[] | undefined;
  readonly 'opened-libraries': boolean;
  readonly 'debian-mirror'?: string | undefined;
  readonly 'debian-keyring'?: string | undefined;
  readonly 'debian-archived': boolean;
}

/** What the flags ask of a build. @throws UportError UPORT_USAGE */
export function librariesOf(flags: LibraryFlags): {
  readonly libraries?: LibrarySource;
  readonly debian?: DebianSettings;
} {
  const suites = flags['from-debian'];
  if (suites === undefined) {
    const others = ['debian-package', 'debian-mirror', 'debian-keyring'] as const;
    const given = others.find((name) => flags[name] !== undefined);
    if (given !== undefined || flags['opened-libraries'] || flags['debian-archived']) {
      throw usage(
        `--${given ?? (flags['opened-libraries'] ? 'opened-libraries' : 'debian-archived')} needs --from-debian`,
        'add --from-debian SUITE',
      );
    }
    return {};
  }
  for (const suite of suites) {
    if (!/^[a-z0-9][a-z0-9./-]*$/.test(suite) || suite.includes('..')) {
      throw usage(
        `${JSON.stringify(suite)} is no name of a suite`,
        'write a name such as trixie or bookworm-backports',
      );
    }
  }
  const packages = flags['debian-package'];
  const mirror = flags['debian-mirror'];
  const keyring = flags['debian-keyring'];
  return {
    libraries: {
      suites,
      ...(packages && { packages }),
      ...(flags['opened-libraries'] && { openedLibraries: true }),
    },
    debian: {
      ...(mirror !== undefined && { mirror }),
      ...(keyring !== undefined && { keyring }),
      ...(flags['debian-archived'] && { archived: true }),
    },
  };
}
