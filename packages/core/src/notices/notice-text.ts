// The text that travels with launchers and emulators: what they are, under which licences, and where
// their source code is. Pure, so that the same parts have the same text.
import type { PinnedEmulator, PinnedTranslator } from '../plan/plan.ts';
import type { CommonLicense } from './common-licenses.ts';

/** An emulator with what its package says of its licence. */
export interface NoticedEmulator {
  readonly emulator: PinnedEmulator;
  /** Of its Debian package. */
  readonly copyright: string | undefined;
  readonly translator?: NoticedTranslator;
}

/** An emulator other than QEMU, with what its packages say of their licences. */
export interface NoticedTranslator {
  readonly translator: PinnedTranslator;
  readonly copyrights: readonly { readonly name: string; readonly text: string }[];
}

export interface NoticeTexts {
  /** Of launchers: uport's own licence, and those of what is linked into them. */
  readonly launcher: string;
  /** Common licences that the notice quotes. */
  readonly licenses: readonly { readonly name: CommonLicense; readonly text: string }[];
}

const RULE = '='.repeat(78);

/** Emulators come in the order of hosts. */
export function noticeText(emulators: readonly NoticedEmulator[], texts: NoticeTexts): string {
  const copyrights = new Map<string, string[]>();
  for (const { emulator, copyright } of emulators) {
    if (copyright === undefined) continue;
    const names = copyrights.get(copyright) ?? [];
    const name = packageName(emulator);
    copyrights.set(copyright, names.includes(name) ? names : [...names, name]);
  }
  for (const { name, text } of emulators.flatMap((each) => each.translator?.copyrights ?? [])) {
    const names = copyrights.get(text) ?? [];
    copyrights.set(text, names.includes(name) ? names : [...names, name]);
  }
  const sections: (readonly [title: string, text: string])[] = [
    ['The launcher: licences', texts.launcher],
    ...[...copyrights].map(
      ([text, names]) => [`Copyright file of Debian's ${names.join(', ')}`, text] as const,
    ),
    ...texts.licenses.map(({ name, text }) => [name, text] as const),
  ];
  const parts = [summary(emulators), ...sections.map(([title, text]) => section(title, text))];
  return `${parts.join('\n\n')}\n`;
}

function section(title: string, text: string): string {
  return `${RULE}\n${title}\n${RULE}\n\n${text.trimEnd()}`;
}

function summary(emulators: readonly NoticedEmulator[]): string {
  const lines = [
    'This was made by uport. Besides the app it holds:',
    '',
    "- uport's launcher (MIT), with parts of musl (MIT) and of Zstandard's decoder (BSD).",
  ];
  for (const group of grouped(emulators.map(({ emulator }) => emulator))) {
    const [first] = group as [PinnedEmulator, ...PinnedEmulator[]];
    const hosts = group.map(({ host }) => host).join(', ');
    lines.push(
      `- QEMU ${first.version} (GPL, version 2), which runs ${first.guest} programs on ${hosts}.`,
      ...originLines(first).map((line) => `  ${line}`),
    );
  }
  const translators = emulators.flatMap((each) => each.translator?.translator ?? []);
  lines.push(...translators.flatMap(translatorLines));
  if (emulators.length > 0) lines.push('', ...OFFER);
  if (translators.length > 0) lines.push('', ...LIBRARIES_OFFER);
  lines.push('', 'The licences follow.');
  return lines.join('\n');
}

const OFFER = [
  'Source code: QEMU, and libraries that are linked into it, are free software under the GNU General',
  'Public License and the GNU Lesser General Public License. Whoever distributes this offers, for at',
  'least three years, to give anyone who has it the complete corresponding source code of these',
  'programs on a medium customarily used for software interchange, for no more than the cost of doing',
  'so. Ask where you got this from. The same source code can be had from the places named above.',
  'There is NO WARRANTY, to the extent permitted by law.',
];

const LIBRARIES_OFFER = [
  'The same offer is made for the libraries of the GNU C Library and of GCC that travel with emulators',
  'other than QEMU. Other builds of them may take their places: they are files of their own.',
];

function translatorLines({ kind, version, guest, host, packages }: PinnedTranslator) {
  const from = packages.flatMap(({ name, version: own, suite, sourcePackage, sourceVersion }) => [
    `From Debian's package ${name} ${own} (${suite}).`,
    `Source package: ${sourcePackage} ${sourceVersion}`,
    `  https://snapshot.debian.org/package/${sourcePackage}/${encodeURI(sourceVersion)}/`,
  ]);
  const built = ['From a build in a folder, with the libraries that lay beside it.'];
  return [
    `- ${kind} ${version} (MIT), which runs ${guest} programs on ${host}, with libraries of glibc (LGPL, version`,
    '  2.1 or later) and GCC (GPL, version 3 or later, with the run-time library exception).',
    ...(from.length > 0 ? from : built).map((line) => `  ${line}`),
  ];
}

/** Emulators of one origin and version, in the order of their first host. */
function grouped(emulators: readonly PinnedEmulator[]): readonly (readonly PinnedEmulator[])[] {
  const groups = new Map<string, PinnedEmulator[]>();
  for (const emulator of emulators) {
    const key = [emulator.guest, emulator.version, ...originLines(emulator)].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), emulator]);
  }
  return [...groups.values()];
}

function originLines({ origin, version, builtUsing, preparedFrom }: PinnedEmulator) {
  const changed =
    preparedFrom === undefined
      ? []
      : [
          'Changed by uport: its relocations are applied ahead of time, so that it starts faster; its code',
          'is as it was.',
        ];
  const upstream = `https://download.qemu.org/qemu-${version}.tar.xz`;
  switch (origin.provider) {
    case 'debian': {
      const { sourcePackage, sourceVersion, suite } = origin;
      const linked = builtUsing?.map(({ name, version }) => `${name} ${version}`) ?? [];
      return [
        `From Debian's package ${origin.package} ${origin.packageVersion} (${suite}).`,
        `Source package: ${sourcePackage} ${sourceVersion}`,
        `  https://snapshot.debian.org/package/${sourcePackage}/${encodeURI(sourceVersion)}/`,
        ...(linked.length > 0 ? [`Linked into it, by source package: ${linked.join(', ')}`] : []),
        ...changed,
      ];
    }
    case 'nix':
      return [`From the Nix store path ${origin.storePath}.`, `Source: ${upstream}`, ...changed];
    case 'dir':
      return [`From a build named ${origin.file}.`, `Source: ${upstream}`, ...changed];
  }
}

function packageName({ origin }: PinnedEmulator): string {
  return origin.provider === 'debian'
    ? `${origin.package} ${origin.packageVersion}`
    : origin.provider;
}
