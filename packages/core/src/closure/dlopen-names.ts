import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type ProgramHeader, PT_LOAD } from '@uport/elf';
import { type ContentPlace, placeOf } from '../model/content.ts';

const CHUNK = 256 << 10;
/** What is behind that much of a file is not read. */
const MAX_SCAN = 64 << 20;
const MAX_NAME = 256;
const MAX_NAMES = 1000;
const NAME = /^(?:\/?(?:[\w.+-]+\/)*)[\w+][\w.+-]*\.so(?:\.\d+)*$/;

/** Of all files: new memory costs more than what is read into it. */
let buffer: Buffer | undefined;

/**
 * The strings of a file that are names of shared objects, as a program has them that calls dlopen
 * with a literal. Sorted. Only what is loaded is looked at; without the code, where the linker kept
 * code and constants apart.
 */
export function findDlopenNames(
  place: ContentPlace,
  segments: readonly ProgramHeader[],
): readonly string[] {
  const names = new Set<string>();
  const { file, offset, size: partSize } = placeOf(place);
  const descriptor = openSync(file, 'r');
  try {
    const size = partSize ?? fstatSync(descriptor).size;
    let left = MAX_SCAN;
    buffer ??= Buffer.allocUnsafeSlow(CHUNK + 2 * MAX_NAME);
    for (const { start, end } of placesOfNames(segments, size)) {
      for (let at = start; at < end && left > 0 && names.size < MAX_NAMES; at += CHUNK) {
        // A name that lies across two chunks is whole in one of them.
        const from = Math.max(start, at - 2 * MAX_NAME);
        const wanted = Math.min(at + CHUNK, end) - from;
        const length = readSync(descriptor, buffer, 0, wanted, offset + from);
        collect(buffer.subarray(0, length), names);
        left -= CHUNK;
      }
    }
  } finally {
    closeSync(descriptor);
  }
  return [...names].sort();
}

const PF_X = 1;
const PF_W = 2;

/** Ranges of the file, in its order, that do not overlap. */
function placesOfNames(
  segments: readonly ProgramHeader[],
  size: number,
): readonly { readonly start: number; readonly end: number }[] {
  const loaded = segments.filter(({ type }) => type === PT_LOAD);
  const apart = loaded.some(({ flags }) => (flags & (PF_X | PF_W)) === 0);
  const ranges = loaded
    .filter(({ flags }) => !apart || (flags & PF_X) === 0)
    .map(({ offset, filesz }) => ({ start: Number(offset), end: Number(offset + filesz) }))
    .sort((a, b) => a.start - b.start);
  let done = 0;
  return ranges.map(({ start, end }) => {
    const from = Math.max(start, done);
    done = Math.max(done, Math.min(end, size));
    return { start: from, end: done };
  });
}

function collect(bytes: Buffer, names: Set<string>): void {
  for (let at = bytes.indexOf('.so'); at !== -1; at = bytes.indexOf('.so', at + 3)) {
    const end = bytes.indexOf(0, at);
    if (end === -1) return;
    const start = bytes.lastIndexOf(0, at) + 1;
    if (start === 0 || end - start > MAX_NAME) continue;
    const name = bytes.toString('latin1', start, end);
    if (NAME.test(name) && names.size < MAX_NAMES) names.add(name);
  }
}
