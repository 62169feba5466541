// Registrations as the kernel, systemd, Debian's binfmt-support and NixOS want them.
import { UportError } from '@uport/errors';
import { nix, printNix } from '../nix/index.ts';
import type { BinfmtRegistration } from './registration.ts';

/** A file that holds registrations, and the folder where it is looked for. */
export interface BinfmtFile {
  readonly name: string;
  readonly text: string;
}

/** A way to write registrations down. Adding one is adding a row. */
export interface BinfmtFormat {
  readonly name: string;
  readonly summary: string;
  files(registrations: readonly BinfmtRegistration[]): readonly BinfmtFile[];
}

export const BINFMT_FORMATS: readonly BinfmtFormat[] = Object.freeze([
  {
    name: 'kernel',
    summary: 'lines for /proc/sys/fs/binfmt_misc/register, to be written one at a time',
    files: (registrations) => [{ name: 'register', text: lines(registrations) }],
  },
  {
    name: 'binfmt.d',
    summary: 'a file for /etc/binfmt.d, read by systemd at boot',
    files: (registrations) => [{ name: 'uport.conf', text: lines(registrations) }],
  },
  {
    name: 'debian',
    summary: "files for /usr/share/binfmts, read by Debian's update-binfmts --import",
    files: (registrations) => registrations.map(debianFile),
  },
  {
    name: 'nixos',
    summary: 'a NixOS module that sets boot.binfmt.registrations',
    files: (registrations) => [{ name: 'uport-binfmt.nix', text: nixosModule(registrations) }],
  },
] satisfies BinfmtFormat[]);

/** @throws UportError UPORT_BINFMT_FORMAT_UNKNOWN */
export function parseBinfmtFormat(name: string): BinfmtFormat {
  const found = BINFMT_FORMATS.find((format) => format.name === name);
  if (found !== undefined) return found;
  throw new UportError({
    code: 'UPORT_BINFMT_FORMAT_UNKNOWN',
    category: 'usage',
    message: `${JSON.stringify(name)} is no form of a registration`,
    hint: `use one of: ${BINFMT_FORMATS.map((format) => format.name).join(', ')}`,
  });
}

/**
 * What is written to binfmt_misc's `register`, without a newline. The fields are separated by a
 * character that the interpreter's path does not have.
 *
 * @throws UportError UPORT_BINFMT_INVALID when there is no such character
 */
export function binfmtLine(registration: BinfmtRegistration): string {
  const { name, offset, magic, mask, interpreter, flags } = registration;
  const separator = [...':,|!@+='].find((char) => !interpreter.includes(char));
  if (separator === undefined) {
    throw new UportError({
      code: 'UPORT_BINFMT_INVALID',
      category: 'usage',
      message: `the path ${interpreter} has every character that could separate it from the rest`,
      hint: 'put the interpreter into another folder',
    });
  }
  const start = offset === 0 ? '' : String(offset);
  const fields = ['', name, 'M', start, escaped(magic), mask ? escaped(mask) : '', interpreter];
  return [...fields, flags].join(separator);
}

function lines(registrations: readonly BinfmtRegistration[]): string {
  return registrations.map((each) => `${binfmtLine(each)}\n`).join('');
}

function debianFile(registration: BinfmtRegistration): BinfmtFile {
  const { name, offset, magic, mask, interpreter, flags } = registration;
  const has = (flag: string) => (flags.includes(flag) ? 'yes' : 'no');
  const fields = [
    ['package', 'uport'],
    ['interpreter', interpreter],
    ['magic', escaped(magic)],
    ['offset', String(offset)],
    ...(mask ? [['mask', escaped(mask)]] : []),
    ['credentials', has('C')],
    ['fix_binary', has('F')],
    ['preserve', has('P')],
  ];
  return { name, text: fields.map((field) => `${field.join(' ')}\n`).join('') };
}

function nixosModule(registrations: readonly BinfmtRegistration[]): string {
  const sets = registrations.map((each) => [
    each.name,
    {
      recognitionType: 'magic',
      offset: each.offset,
      magicOrExtension: escaped(each.magic),
      mask: each.mask && escaped(each.mask),
      interpreter: each.interpreter,
      // A shell between would lose argv[0], and `fixBinary` would open it in place of QEMU.
      wrapInterpreterInShell: false,
      fixBinary: each.flags.includes('F'),
      preserveArgvZero: each.flags.includes('P'),
      openBinary: each.flags.includes('O'),
      matchCredentials: each.flags.includes('C'),
    },
  ]);
  const body = nix.set(
    nix.bind(['boot', 'binfmt', 'registrations'], nix.value(Object.fromEntries(sets))),
  );
  return printNix({ body });
}

/** Every byte as `\xNN`: the kernel undoes this, and a NUL or a newline would end the line. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
