// Target names: `record2`, or fields joined with colons in any order, `x86_64:64bit:le:sysv:osabiver0`.
import { MACHINE_NAMES } from '@uport/elf';
import { fatElfError } from './errors.ts';
import type { RecordIdentity } from './record.ts';

/** Which records are meant: one by its number, or those whose named fields are equal. */
export type Target =
  | { readonly index: number }
  | { readonly fields: Readonly<Partial<RecordIdentity>> };

/** The names of the FatELF reference tools, where they are not the `EM_` name in lower case. */
const MACHINES: readonly (readonly [machine: number, name: string])[] = [
  [3, 'i386'],
  [10, 'mips-rs3'],
  [15, 'pa-risc'],
  [17, 'vpp500'],
  [39, 'rce'],
  [46, 'h8-300'],
  [47, 'h8-300h'],
  [49, 'h8-500'],
  [50, 'ia64'],
  [51, 'mipsx'],
  [53, 'm68hc12'],
  [92, 'openrisc'],
  [93, 'arc_a5'],
  // Linux toolchains still write the number from before the registration.
  [0xbaab, 'microblaze'],
  [189, 'microblaze-registered'],
];

/** EI_OSABI: System V gABI "e_ident[EI_OSABI]", under the reference tools' names. */
const OSABIS: readonly (readonly [osabi: number, name: string])[] = [
  [0, 'sysv'],
  [1, 'hpux'],
  [2, 'netbsd'],
  [3, 'linux'],
  [4, 'hurd'],
  [5, '86open'],
  [6, 'solaris'],
  [7, 'aix'],
  [8, 'irix'],
  [9, 'freebsd'],
  [10, 'tru64'],
  [11, 'modesto'],
  [12, 'openbsd'],
  [13, 'openvms'],
  [14, 'nsk'],
  [15, 'aros'],
  [16, 'fenixos'],
  [17, 'cloudabi'],
  [18, 'openvos'],
  [97, 'armabi'],
  [255, 'standalone'],
];

const osabiNames = new Map(OSABIS);
const osabiNumbers = new Map(OSABIS.map(([osabi, name]) => [name, osabi]));
const emName = (name: string) => name.slice('EM_'.length).toLowerCase();
const machineNames = new Map<number, string>([
  ...[...MACHINE_NAMES].map(([machine, name]) => [machine, emName(name)] as const),
  ...MACHINES,
]);
const machineNumbers = new Map<string, number>([
  // Other spellings first, so that a printed name always wins.
  ...[...MACHINE_NAMES].map(([machine, name]) => [emName(name), machine] as const),
  ...[...machineNames].map(([machine, name]) => [name, machine] as const),
]);

const FIELD_WORDS: ReadonlyMap<string, Partial<RecordIdentity>> = new Map([
  ['32bit', { elfClass: 1 }],
  ['32bits', { elfClass: 1 }],
  ['64bit', { elfClass: 2 }],
  ['64bits', { elfClass: 2 }],
  ['le', { data: 1 }],
  ['littleendian', { data: 1 }],
  ['be', { data: 2 }],
  ['bigendian', { data: 2 }],
]);

/** The name of an e_machine number in targets; `machine300` where it has none. */
export function machineTargetName(machine: number): string {
  return machineNames.get(machine) ?? `machine${machine}`;
}

/** The name of an EI_OSABI number in targets; `osabi65` where it has none. */
export function osabiTargetName(osabi: number): string {
  return osabiNames.get(osabi) ?? `osabi${osabi}`;
}

const CLASS_WORDS = [undefined, '32bit', '64bit'];
const DATA_WORDS = [undefined, 'le', 'be'];

/** The fields of a record as words, the most telling first. */
function words(record: RecordIdentity): readonly string[] {
  return [
    machineTargetName(record.machine),
    CLASS_WORDS[record.elfClass] ?? `wordsize${record.elfClass}`,
    DATA_WORDS[record.data] ?? `byteorder${record.data}`,
    osabiTargetName(record.osabi),
    `osabiver${record.osabiVersion}`,
  ];
}

/** The full target name of a record; `parseTarget` reads it back to that record alone. */
export function formatTarget(record: RecordIdentity): string {
  return words(record).join(':');
}

/** For each record the shortest name, in order of fields, that no other record has. */
export function shortTargets(records: readonly RecordIdentity[]): readonly string[] {
  const all = records.map(words);
  return all.map((own, index) => {
    for (let length = 1; length < own.length; length += 1) {
      const unique = all.every(
        (other, place) =>
          place === index || own.slice(0, length).some((word, field) => word !== other[field]),
      );
      if (unique) return own.slice(0, length).join(':');
    }
    return own.join(':');
  });
}

/**
 * Reads a target name. Fields that are not named match anything, empty ones are passed over.
 *
 * @throws UportError UPORT_FATELF_TARGET_UNKNOWN
 */
export function parseTarget(text: string): Target {
  const numbered = /^record(\d{1,6})$/.exec(text);
  if (numbered) return { index: Number(numbered[1]) };
  const fields: Record<string, number> = {};
  for (const word of text.split(':')) {
    if (word === '') continue;
    for (const [field, value] of Object.entries(parseWord(word, text))) {
      if ((fields[field] ?? value) !== value) throw unknownTarget(text, 'it contradicts itself');
      fields[field] = value;
    }
  }
  if (Object.keys(fields).length === 0) throw unknownTarget(text, 'it names nothing');
  return { fields };
}

function parseWord(word: string, text: string): Partial<RecordIdentity> {
  const known = FIELD_WORDS.get(word);
  if (known) return known;
  const machine = machineNumbers.get(word) ?? numberAfter('machine', word, 0xffff);
  if (machine !== undefined) return { machine };
  const osabi = osabiNumbers.get(word) ?? numberAfter('osabi', word, 0xff);
  if (osabi !== undefined) return { osabi };
  const osabiVersion = numberAfter('osabiver', word, 0xff);
  if (osabiVersion !== undefined) return { osabiVersion };
  throw unknownTarget(text, `${JSON.stringify(word)} is no field`);
}

function numberAfter(prefix: string, word: string, max: number): number | undefined {
  const digits = word.startsWith(prefix) ? word.slice(prefix.length) : '';
  if (!/^(\d{1,6}|0x[0-9a-f]{1,5})$/.test(digits)) return undefined;
  const number = Number(digits);
  return number <= max ? number : undefined;
}

function unknownTarget(text: string, reason: string) {
  return fatElfError(
    'TARGET_UNKNOWN',
    `${JSON.stringify(text.slice(0, 100))} is no target: ${reason}`,
    'a target is recordN or fields joined with colons, such as x86_64:64bit:le:sysv:osabiver0; fatelf info lists those of a file',
    { category: 'usage' },
  );
}

/**
 * The number of the one record that is meant; undefined when there is none.
 *
 * @throws UportError UPORT_FATELF_TARGET_AMBIGUOUS when several match
 */
export function matchTarget(
  records: readonly RecordIdentity[],
  target: Target,
): number | undefined {
  if ('index' in target) return target.index < records.length ? target.index : undefined;
  const wanted = Object.entries(target.fields) as [keyof RecordIdentity, number][];
  const matches = records.flatMap((record, index) =>
    wanted.every(([field, value]) => record[field] === value) ? [index] : [],
  );
  if (matches.length > 1) {
    const names = matches.map((index) => formatTarget(records[index] as RecordIdentity));
    throw fatElfError(
      'TARGET_AMBIGUOUS',
      `${matches.length} records match the target`,
      `name one of: ${names.join(' ')}`,
      { category: 'usage' },
    );
  }
  return matches[0];
}

/** As `matchTarget`; no match is an error UPORT_FATELF_TARGET_MISSING. */
export function findTarget(records: readonly RecordIdentity[], target: Target): number {
  const index = matchTarget(records, target);
  if (index !== undefined) return index;
  throw fatElfError(
    'TARGET_MISSING',
    'no record matches the target',
    records.length === 0
      ? 'the file has no records'
      : `the file has: ${records.map(formatTarget).join(' ')}`,
    { category: 'usage' },
  );
}
