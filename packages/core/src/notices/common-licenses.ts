// The licences that Debian's copyright files name instead of quoting them (/usr/share/common-licenses).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UportError } from '@uport/errors';

const FOLDER = new URL('../../licenses/', import.meta.url);

/** Those that @uport/core carries. */
const NAMES = [
  'Apache-2.0',
  'Artistic',
  'BSD',
  'CC0-1.0',
  'GFDL-1.2',
  'GFDL-1.3',
  'GPL-1',
  'GPL-2',
  'GPL-3',
  'LGPL-2',
  'LGPL-2.1',
  'LGPL-3',
  'MPL-1.1',
  'MPL-2.0',
] as const;

export type CommonLicense = (typeof NAMES)[number];

/** Names without a version are links to the newest. */
const LINKS: ReadonlyMap<string, CommonLicense> = new Map([
  ['GFDL', 'GFDL-1.3'],
  ['GPL', 'GPL-3'],
  ['LGPL', 'LGPL-3'],
]);

/** The licences that a copyright file refers to, sorted by name. */
export function namedLicenses(copyright: string): readonly CommonLicense[] {
  const found = new Set<CommonLicense>();
  for (const [, name = ''] of copyright.matchAll(/\/usr\/share\/common-licenses\/([\w.+-]+)/g)) {
    // What ends a sentence is no part of the name.
    const plain = name.replace(/\.+$/, '');
    const license = LINKS.get(plain) ?? NAMES.find((each) => each === plain);
    if (license !== undefined) found.add(license);
  }
  return [...found].sort();
}

/** @throws UportError UPORT_LICENSE_MISSING */
export function licenseText(name: CommonLicense): string {
  const file = new URL(name, FOLDER);
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UportError({
      code: 'UPORT_LICENSE_MISSING',
      category: 'environment',
      message: 'a licence text of @uport/core cannot be read',
      hint: 'install @uport/core again',
      file: fileURLToPath(file),
      cause,
    });
  }
}
