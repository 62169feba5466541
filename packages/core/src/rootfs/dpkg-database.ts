// dpkg's database, as it is after `dpkg --unpack`: files below var/lib/dpkg (dpkg(1), FILES).
import { createHash } from 'node:crypto';
import { parseParagraph } from '../debian/deb822.ts';
import type { SpooledMember } from '../tar/spool.ts';
import type { ControlFile, UnpackedDeb } from './unpack-deb.ts';

/** A package as the database knows it. */
export interface DatabasePackage extends UnpackedDeb {
  readonly name: string;
  readonly architecture: string;
  readonly multiArch: string;
}

export interface DatabaseFile {
  /** Below `var/lib/dpkg/`. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
  /** Where the package says one. */
  readonly mtime: number | undefined;
}

export const DPKG_FOLDERS = ['', 'alternatives', 'info', 'parts', 'triggers', 'updates'] as const;

/**
 * The files of the database, sorted. Packages are "unpacked": their scripts have not run yet, which
 * is what `dpkg --configure -a` does.
 *
 * @param bytesOf the bytes of a conffile, which the database pins by md5
 */
export function dpkgDatabase(
  packages: readonly DatabasePackage[],
  foreign: readonly string[],
  bytesOf: (member: SpooledMember) => Buffer,
): readonly DatabaseFile[] {
  const files = new Map<string, Omit<DatabaseFile, 'path'>>();
  const put = (path: string, text: string, mode = 0o644): void => {
    files.set(path, { bytes: Buffer.from(text, 'latin1'), mode, mtime: undefined });
  };
  const triggers = new Map<string, string[]>();
  const stanzas: string[] = [];
  for (const one of packages) {
    const info = `info/${infoName(one)}`;
    put(`${info}.list`, listOf(one.members));
    for (const [name, file] of one.control) {
      if (name === 'control') continue;
      files.set(`${info}.${name}`, { ...file, mode: file.mode & 0o777 });
    }
    for (const [name, line] of interests(one)) {
      triggers.set(name, [...(triggers.get(name) ?? []), line]);
    }
    stanzas.push(statusStanza(one, bytesOf));
  }
  put('info/format', '1\n');
  for (const name of [
    'available',
    'diversions',
    'statoverride',
    'triggers/Lock',
    'triggers/Unincorp',
    'lock',
    'lock-frontend',
  ]) {
    put(name, '', /lock/i.test(name) ? 0o640 : 0o644);
  }
  for (const [name, lines] of triggers)
    put(`triggers/${name}`, lines.map((line) => `${line}\n`).join(''));
  if (foreign.length > 0) put('arch', `${foreign.join('\n')}\n`);
  put('status', stanzas.map((each) => `${each}\n`).join(''));
  return [...files]
    .map(([path, file]) => ({ path, ...file }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Packages of which several architectures can be installed carry theirs in the names of their files. */
export function infoName({ name, architecture, multiArch }: DatabasePackage): string {
  return multiArch === 'same' ? `${name}:${architecture}` : name;
}

function listOf(members: readonly SpooledMember[]): string {
  const lines = members.map(({ path }) => {
    const inside = path.replace(/^(?:\.?\/+)+/, '').replace(/\/+$/, '');
    return inside === '' || inside === '.' ? '/.' : `/${inside}`;
  });
  return [...new Set(lines)].map((line) => `${line}\n`).join('');
}

/** dpkg's own order; what it does not know comes at the end. */
const FIELDS = [
  ...['Package', 'Essential', 'Protected', 'Status', 'Priority', 'Section', 'Installed-Size'],
  ...['Origin', 'Maintainer', 'Bugs', 'Architecture', 'Multi-Arch', 'Source', 'Version'],
  ...['Replaces', 'Provides', 'Depends', 'Pre-Depends', 'Recommends', 'Suggests', 'Breaks'],
  ...['Conflicts', 'Enhances', 'Conffiles', 'Description'],
];

function statusStanza(one: DatabasePackage, bytesOf: (member: SpooledMember) => Buffer): string {
  const control = one.control.get('control')?.bytes.toString('latin1') ?? '';
  const fields = new Map<string, string>();
  let last: string | undefined;
  for (const line of control.split('\n')) {
    const field = /^([^\s:#][^\s:]*):[ \t]*(.*)$/.exec(line);
    if (field) {
      last = field[1] as string;
      fields.set(last, field[2] as string);
    } else if (/^[ \t]/.test(line) && last !== undefined) {
      fields.set(last, `${fields.get(last)}\n${line}`);
    }
  }
  fields.set('Status', 'install ok unpacked');
  const conffiles = conffilesOf(one, bytesOf);
  if (conffiles.length > 0) fields.set('Conffiles', `\n${conffiles.join('\n')}`);
  const known = new Map(FIELDS.map((name, index) => [name.toLowerCase(), index]));
  const place = (name: string): number => known.get(name.toLowerCase()) ?? FIELDS.length;
  return [...fields]
    .sort(([a], [b]) => place(a) - place(b))
    .map(([name, value]) => `${name}:${value.startsWith('\n') ? '' : ' '}${value}\n`)
    .join('');
}

function conffilesOf(
  one: DatabasePackage,
  bytesOf: (member: SpooledMember) => Buffer,
): readonly string[] {
  const members = new Map(
    one.members.map((member) => [`/${member.path.replace(/^(?:\.?\/+)+/, '')}`, member]),
  );
  return linesOf(one.control.get('conffiles')).flatMap((line) => {
    // `remove-on-upgrade /etc/x` names a file that the package no longer has.
    const member = line.startsWith('/') ? members.get(line) : undefined;
    if (member?.type !== 'file') return [];
    return [` ${line} ${createHash('md5').update(bytesOf(member)).digest('hex')}`];
  });
}

/** The triggers a package is interested in (deb-triggers(5)), by the file of dpkg that lists them. */
function interests(one: DatabasePackage): readonly (readonly [file: string, line: string])[] {
  const name = infoName(one);
  return linesOf(one.control.get('triggers')).flatMap((line) => {
    const words = /^interest(-noawait|-await)?\s+(\S+)$/.exec(line.replace(/#.*/, '').trim());
    if (!words) return [];
    const [, kind, trigger] = words as unknown as [string, string | undefined, string];
    const who = kind === '-noawait' ? `${name}/noawait` : name;
    if (trigger.startsWith('/')) return [['File', `${trigger} ${who}`] as const];
    // A name becomes a file's name.
    return /^[A-Za-z0-9][A-Za-z0-9.+_-]*$/.test(trigger) ? [[trigger, who] as const] : [];
  });
}

function linesOf(file: ControlFile | undefined): readonly string[] {
  return (file?.bytes.toString('latin1') ?? '').split('\n').filter((line) => line.trim() !== '');
}

/** A field of a package's control file. */
export function controlField(one: UnpackedDeb, name: string): string | undefined {
  return parseParagraph(one.control.get('control')?.bytes.toString('latin1') ?? '').get(name);
}
