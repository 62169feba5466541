import { Flags } from '@oclif/core';
import type { BuildOptions } from '@uport/core';
import { pairOf, record, usage } from './pairs.ts';

const CONFIG = 'IMAGE CONFIG';

/** What an image's config says. Files that run by themselves carry what they have a place for. */
export const imageConfigFlags = {
  entrypoint: Flags.string({
    summary:
      'What the image starts: a program, or a JSON array of a program and arguments. For a folder, a path inside it.',
    helpValue: 'PROGRAM',
    helpGroup: CONFIG,
  }),
  cmd: Flags.string({
    summary: 'Default arguments: one word, or a JSON array.',
    helpValue: 'ARGS',
    helpGroup: CONFIG,
  }),
  env: Flags.string({
    summary: 'An environment variable.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME=VALUE',
    helpGroup: CONFIG,
  }),
  workdir: Flags.string({
    summary: 'The working folder in the image.',
    helpValue: 'DIR',
    helpGroup: CONFIG,
  }),
  user: Flags.string({
    summary: 'The user, and the group after a colon.',
    helpValue: 'USER',
    helpGroup: CONFIG,
  }),
  label: Flags.string({
    summary: 'A label.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME=VALUE',
    helpGroup: CONFIG,
  }),
  expose: Flags.string({
    summary: 'A port, such as 80 or 53/udp.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'PORT',
    helpGroup: CONFIG,
  }),
  volume: Flags.string({
    summary: 'A volume.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'DIR',
    helpGroup: CONFIG,
  }),
  'stop-signal': Flags.string({
    summary: 'The signal that stops the app.',
    helpValue: 'SIGNAL',
    helpGroup: CONFIG,
  }),
  annotation: Flags.string({
    summary: 'An annotation of the index and its manifests.',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'NAME=VALUE',
    helpGroup: CONFIG,
  }),
};

/** The values of these flags. */
export interface ImageConfigFlags {
  readonly cmd?: string | undefined;
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly label?: readonly string[] | undefined;
  readonly expose?: readonly string[] | undefined;
  readonly volume?: readonly string[] | undefined;
  readonly 'stop-signal'?: string | undefined;
  readonly annotation?: readonly string[] | undefined;
}

export function imageSettings(flags: ImageConfigFlags): NonNullable<BuildOptions['image']> {
  return {
    ...(flags.cmd !== undefined && { cmd: words(flags.cmd, '--cmd') }),
    ...(flags.env && { env: flags.env.map((pair) => pairOf(pair, '--env').join('=')) }),
    ...(flags.workdir !== undefined && { workdir: flags.workdir }),
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.label && { labels: record(flags.label, '--label') }),
    ...(flags.expose && { exposedPorts: flags.expose }),
    ...(flags.volume && { volumes: flags.volume }),
    ...(flags['stop-signal'] !== undefined && { stopSignal: flags['stop-signal'] }),
    ...(flags.annotation && { annotations: record(flags.annotation, '--annotation') }),
  };
}

/** One word, or a JSON array of strings. */
export function words(text: string, flag: string): string[] {
  if (!text.trimStart().startsWith('[')) return [text];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw usage(
      `${flag} is not a JSON array: ${String(cause)}`,
      `write ${flag} '["PROGRAM","ARG"]'`,
    );
  }
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw usage(`${flag} must be an array of strings`, `write ${flag} '["PROGRAM","ARG"]'`);
}
