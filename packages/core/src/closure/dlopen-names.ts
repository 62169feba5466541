import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type ContentPlace, placeOf } from '../model/content.ts';

const CHUNK = 4 << 20;
/** Names lie in the read-only data, which comes early; what is behind that much of a file is not read. */
const MAX_SCAN = 64 << 20;
const MAX_NAME = 256;
const MAX_NAMES = 1000;
const NAME = /^(?:\/?(?:[\w.+-]+\/)*)[\w+][\w.+-]*\.so(?:\.\d+)*$/;

/**
 * The strings of a file that are names of shared objects, as a program has them that calls dlopen
 * with a literal. Sorted.
 */
export function findDlopenNames(place: ContentPlace): readonly string[] {
  const names = new Set<string>();
  const { file, offset, size: partSize } = placeOf(place);
  const descriptor = openSync(file, 'r');
  try {
    const size = Math.min(partSize ?? fstatSync(descriptor).size, MAX_SCAN);
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, size) + 2 * MAX_NAME);
    for (let start = 0; start < size && names.size < MAX_NAMES; start += CHUNK) {
      // A name that lies across two chunks is whole in one of them.
      const from = Math.max(0, start - 2 * MAX_NAME);
      const length = readSync(
        descriptor,
        buffer,
        0,
        Math.min(start + CHUNK, size) - from,
        offset + from,
      );
      collect(buffer.subarray(0, length), names);
    }
  } finally {
    closeSync(descriptor);
  }
  return [...names].sort();
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
