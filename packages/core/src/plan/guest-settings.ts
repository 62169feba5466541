// What the guest's programs get and host programs never see, as the launcher and images say it. Pure.

import { UportError } from '@uport/errors';
import type { ManifestSetting, ManifestSurroundings } from '@uport/launcher';
import { parseArch } from '../model/arch.ts';
import { displayBytes, pathBytes } from '../model/byte-path.ts';
import type { BytePath } from '../model/payload-tree.ts';
import type { GuestSettings, Plan } from './plan.ts';

export const NO_GUEST_SETTINGS: GuestSettings = Object.freeze({
  unset: [],
  env: [],
  preload: [],
  libraryFolders: [],
});

/** Whether the launcher has something to say to the app's environment. */
export function hasGuestSettings(plan: Plan): boolean {
  return plan.guest !== undefined;
}

/**
 * The lines of an image's manifest: what its config cannot say. Paths are absolute.
 *
 * @returns undefined when there are none
 */
export function imageSurroundings(plan: Plan): ManifestSurroundings | undefined {
  if (plan.guest === undefined) return undefined;
  return { guest: guestOf(plan), settings: settingsOf(plan.guest, '/') };
}

/**
 * The variables of the native image, where every program is one of the guest's CPU.
 *
 * @returns `NAME=VALUE`, those of the image first
 */
export function nativeImageEnvironment(plan: Plan): readonly string[] {
  const { image, guest } = plan;
  if (guest === undefined) return image.env;
  const names = new Map(image.env.map((pair) => [nameOf(pair), pair]));
  for (const pair of guest.env) names.set(nameOf(pair), pair);
  for (const { name, paths } of pathVariables(guest)) {
    const before = names.get(name)?.slice(name.length + 1);
    const list = paths.map((each) => `/${pathBytes(each).toString('utf8')}`).join(':');
    names.set(name, `${name}=${before ? `${list}:${before}` : list}`);
  }
  return [...names.values()];
}

/**
 * The lines of a universal file: environment and working folder too. Paths are the payload's.
 *
 * @returns undefined when there are none
 * @throws UportError UPORT_WORKDIR_NOT_IN_PAYLOAD
 */
export function payloadSurroundings(plan: Plan): ManifestSurroundings | undefined {
  const env = plan.image.env.map((pair): ManifestSetting => {
    const [name, value] = splitPair(pair);
    return { kind: 'env', name: latin1(name), value: latin1(value) };
  });
  const guest = plan.guest ?? NO_GUEST_SETTINGS;
  const settings = [...env, ...settingsOf(guest, '')];
  const workdir = workdirOf(plan);
  const wholeRoot = plan.app.wholeRoot === true;
  if (settings.length === 0 && workdir === undefined && !wholeRoot) return undefined;
  return {
    ...(plan.guest !== undefined && { guest: guestOf(plan) }),
    ...(settings.length > 0 && { settings }),
    ...(workdir !== undefined && { workdir }),
    ...(wholeRoot && { wholeRoot }),
  };
}

/** A program's own first arguments, and those it gets when the caller gives none. */
export interface ProgramWords {
  readonly args: readonly string[];
  readonly defaults: readonly string[];
}

/**
 * What a universal file's main program is given, from the image's entrypoint and cmd.
 *
 * @throws UportError UPORT_ENTRYPOINT_NOT_IN_PAYLOAD when the entrypoint starts something else
 */
export function programWords({ app, image }: Plan): ProgramWords {
  const [program = '', ...args] = image.entrypoint;
  const name = app.program.slice(app.program.lastIndexOf('/') + 1);
  const inside = latin1(program).replace(/^\.?\/+/, '');
  const isProgram = inside === app.program || `app/${inside}` === app.program || inside === name;
  if (program !== '' && !isProgram) {
    throw new UportError({
      code: 'UPORT_ENTRYPOINT_NOT_IN_PAYLOAD',
      category: 'input',
      message: `the entrypoint starts ${JSON.stringify(program)}, and a file that runs by itself starts ${displayBytes(app.program)}`,
      hint: 'begin --entrypoint with that program, or emit an image only',
    });
  }
  return { args: args.map(latin1), defaults: image.cmd.map(latin1) };
}

function guestOf({ app }: Plan): NonNullable<ManifestSurroundings['guest']> {
  const { name, elf } = parseArch(app.guest);
  return { name, elf };
}

function settingsOf(guest: GuestSettings, prefix: string): readonly ManifestSetting[] {
  return [
    ...guest.unset.map((name): ManifestSetting => ({ kind: 'unset', name: latin1(name) })),
    ...guest.env.map((pair): ManifestSetting => {
      const [name, value] = splitPair(pair);
      return { kind: 'guest-env', name: latin1(name), value: latin1(value) };
    }),
    ...pathVariables(guest).map(({ name, paths }): ManifestSetting => {
      return { kind: 'guest-paths', name, paths: paths.map((each) => prefix + each) };
    }),
  ];
}

function pathVariables({
  preload,
  libraryFolders,
}: GuestSettings): readonly { readonly name: string; readonly paths: readonly BytePath[] }[] {
  return [
    { name: 'LD_PRELOAD', paths: preload },
    { name: 'LD_LIBRARY_PATH', paths: libraryFolders },
  ].filter(({ paths }) => paths.length > 0);
}

function workdirOf({ image, payload }: Plan): BytePath | undefined {
  const inside = latin1(image.workdir).replace(/^\/+|\/+$/g, '');
  if (inside === '') return undefined;
  const entry = payload.entries.find(({ path }) => path === inside);
  if (entry?.type === 'directory') return entry.path;
  throw new UportError({
    code: 'UPORT_WORKDIR_NOT_IN_PAYLOAD',
    category: 'input',
    message: `the payload has no folder ${JSON.stringify(image.workdir)} to start in`,
    hint: 'give --workdir a folder of the payload (/app/…), or leave it out: a file that runs by itself starts in the caller’s folder',
  });
}

function nameOf(pair: string): string {
  return splitPair(pair)[0];
}

function splitPair(pair: string): readonly [name: string, value: string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
