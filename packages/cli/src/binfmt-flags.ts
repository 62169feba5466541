// What the binfmt commands share.
import { Args, Flags } from '@oclif/core';
import { type BinfmtSubject, DEFAULT_BINFMT_PREFIX, parseBinfmtSubject } from '@uport/core';

/** `[GUEST...]`. */
export const subjectArgs = () => ({
  guest: Args.custom<BinfmtSubject>({
    description:
      'a CPU by any usual name, or fatelf; default: fatelf, and every CPU that this machine does not run by itself',
    multiple: true,
    ignoreStdin: true,
    parse: async (name) => parseBinfmtSubject(name),
  })(),
});

export const prefixFlag = () =>
  Flags.string({
    summary: `The folder of the interpreters. Default: ${DEFAULT_BINFMT_PREFIX}.`,
    helpValue: 'DIR',
  });

/** Oclif hands over a list, one value, or nothing. */
export function subjectList(given: unknown): readonly BinfmtSubject[] | undefined {
  if (given === undefined) return undefined;
  const list = (Array.isArray(given) ? given : [given]) as BinfmtSubject[];
  return list.length === 0 ? undefined : [...new Set(list)];
}

export function subjectName(subject: BinfmtSubject): string {
  return subject === 'fatelf' ? subject : subject.name;
}
