// PT_INTERP: the path of the dynamic linker. System V gABI, chapter 5 "Program Interpreter".
import { type ByteSource, readRange } from './byte-source.ts';
import { invalid } from './errors.ts';
import { byteString } from './fields.ts';
import type { ProgramHeader } from './program-header.ts';

/** Linux refuses longer ones (PATH_MAX). */
const MAX_LENGTH = 4096n;

export async function readInterpreter(source: ByteSource, segment: ProgramHeader): Promise<string> {
  if (segment.filesz < 2n || segment.filesz > MAX_LENGTH) {
    throw invalid(
      `the interpreter's name has ${segment.filesz} bytes; Linux takes 2 to ${MAX_LENGTH}`,
      segment.offset,
    );
  }
  const bytes = await readRange(source, segment.offset, segment.filesz, 'the PT_INTERP segment');
  if (bytes.at(-1) !== 0) {
    throw invalid("the interpreter's name does not end with a NUL byte", segment.offset);
  }
  return byteString(bytes.subarray(0, bytes.indexOf(0)));
}
