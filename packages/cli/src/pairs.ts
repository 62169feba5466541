import { UportError } from '@uport/core/model';

export function usage(message: string, hint: string): UportError {
  return new UportError({ code: 'UPORT_USAGE', category: 'usage', message, hint });
}

/** `NAME=VALUE` of a flag. */
export function pairOf(text: string, flag: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals < 1)
    throw usage(`${flag} ${JSON.stringify(text)} has no NAME=`, `write ${flag} NAME=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

export function record(pairs: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => pairOf(pair, flag)));
}
