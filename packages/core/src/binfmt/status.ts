// What binfmt_misc says of itself and its registrations.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';
import { BINFMT_SUBJECTS, type BinfmtSubject, binfmtRegistration } from './registration.ts';
import { type BinfmtRule, matchesBinfmtRule } from './rule.ts';

/** Where binfmt_misc is mounted. */
export const BINFMT_FOLDER = '/proc/sys/fs/binfmt_misc';

export interface BinfmtEntry {
  readonly name: string;
  readonly enabled: boolean;
  readonly interpreter: string;
  readonly flags: string;
  /** Absent when it goes by the file name's extension. */
  readonly rule?: BinfmtRule;
}

export interface BinfmtStatus {
  readonly mounted: boolean;
  readonly enabled: boolean;
  /** By name. */
  readonly entries: readonly BinfmtEntry[];
}

/** What binfmt_misc does now. @throws UportError when it cannot be read */
export async function readBinfmtStatus(folder: string = BINFMT_FOLDER): Promise<BinfmtStatus> {
  const names = await readdir(folder).catch((error: unknown) => absent(error, folder));
  if (!names?.includes('register')) return { mounted: false, enabled: false, entries: [] };
  const entries: BinfmtEntry[] = [];
  for (const name of names.sort()) {
    if (name === 'register' || name === 'status') continue;
    const file = path.join(folder, name);
    // It may have been unregistered meanwhile.
    const text = await readFile(file, 'latin1').catch((error: unknown) => absent(error, file));
    if (text !== undefined) entries.push(parseEntry(name, text));
  }
  const status = await readFile(path.join(folder, 'status'), 'latin1');
  return { mounted: true, enabled: status.startsWith('enabled'), entries };
}

/** The registrations that take the programs of a CPU, or FatELF files. */
export function entriesFor(status: BinfmtStatus, subject: BinfmtSubject): readonly BinfmtEntry[] {
  const { magic } = binfmtRegistration(subject, '/');
  return status.entries.filter(({ rule }) => rule !== undefined && matchesBinfmtRule(rule, magic));
}

/** The same, for all that anything is registered for. */
export function servedSubjects(
  status: BinfmtStatus,
): readonly { readonly subject: BinfmtSubject; readonly entries: readonly BinfmtEntry[] }[] {
  return BINFMT_SUBJECTS.map((subject) => ({
    subject,
    entries: entriesFor(status, subject),
  })).filter(({ entries }) => entries.length > 0);
}

/**
 * Reads a registration as the kernel prints it.
 *
 * @throws UportError UPORT_BINFMT_UNREADABLE
 */
export function parseEntry(name: string, text: string): BinfmtEntry {
  const value = (key: string) => new RegExp(`^${key} ?(.*)$`, 'm').exec(text)?.[1];
  const interpreter = value('interpreter');
  if (interpreter === undefined) {
    throw new UportError({
      code: 'UPORT_BINFMT_UNREADABLE',
      category: 'environment',
      message: `the registration ${name} names no interpreter`,
      hint: `look at ${BINFMT_FOLDER}/${name}`,
    });
  }
  const magic = value('magic');
  const mask = value('mask');
  return {
    name,
    enabled: /^enabled$/m.test(text),
    interpreter,
    flags: value('flags:') ?? '',
    ...(magic !== undefined && {
      rule: {
        offset: Number(value('offset') ?? 0),
        magic: Buffer.from(magic, 'hex'),
        ...(mask !== undefined && { mask: Buffer.from(mask, 'hex') }),
      },
    }),
  };
}

function absent(error: unknown, file: string): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw systemError(error, file);
}
