import { type ElfAbi, readAbi } from './abi.ts';
import type { ByteSource } from './byte-source.ts';
import { type ElfDynamic, readDynamic } from './dynamic.ts';
import { invalid } from './errors.ts';
import { type ElfIdentity, ET_CORE, ET_DYN, ET_EXEC, ET_REL, readHeader } from './header.ts';
import { readInterpreter } from './interpreter.ts';
import { type ElfNotes, readNotes } from './notes.ts';
import {
  checkSegments,
  onlySegment,
  type ProgramHeader,
  PT_DYNAMIC,
  PT_INTERP,
  readProgramHeaders,
} from './program-header.ts';

/**
 * `static` and `static-pie` start without help, `dynamic` through its interpreter; a
 * `shared-object` is a library (the C library too, though it can be started); the others never run.
 */
export type Linkage =
  | 'static'
  | 'static-pie'
  | 'dynamic'
  | 'shared-object'
  | 'relocatable'
  | 'core';

/** What is in an ELF file. Strings are bytes, one character each (Latin-1). */
export interface Elf extends ElfNotes {
  readonly identity: ElfIdentity;
  readonly segments: readonly ProgramHeader[];
  readonly linkage: Linkage;
  readonly abi: ElfAbi;
  /** The path of the dynamic linker. */
  readonly interpreter?: string;
  readonly dynamic?: ElfDynamic;
}

/**
 * Reads the ELF header only.
 *
 * @throws UportError UPORT_ELF_NOT_ELF, UPORT_ELF_TRUNCATED, UPORT_ELF_INVALID
 */
export async function readElfIdentity(source: ByteSource): Promise<ElfIdentity> {
  return (await readHeader(source)).identity;
}

/**
 * Reads what is needed to start a program or find its libraries: a few kilobytes of a file of any
 * size. Section headers are not used, so stripped files work. Of relocatable and core files only
 * the headers are read.
 *
 * @throws UportError UPORT_ELF_NOT_ELF, UPORT_ELF_TRUNCATED (the file ends too early),
 *   UPORT_ELF_OUT_OF_BOUNDS (a place past the end), UPORT_ELF_INVALID (against the specification),
 *   each with the offset in the file
 */
export async function readElf(source: ByteSource): Promise<Elf> {
  const { identity, tables } = await readHeader(source);
  const segments = Object.freeze(await readProgramHeaders(source, identity, tables));
  const base = { identity, segments };
  if (identity.type === ET_REL || identity.type === ET_CORE) {
    return Object.freeze({
      ...base,
      linkage: identity.type === ET_REL ? 'relocatable' : 'core',
      abi: readAbi(identity, undefined),
      properties: [],
    });
  }
  if (identity.type !== ET_EXEC && identity.type !== ET_DYN) {
    throw invalid(
      `e_type is ${identity.type}: neither a program, a shared object, an object file nor a core file`,
      16,
    );
  }
  if (segments.length === 0) throw invalid('the file has no program headers, so it cannot run', 0);
  checkSegments(source, identity, segments);
  const interpreterSegment = onlySegment(segments, PT_INTERP);
  const dynamicSegment = onlySegment(segments, PT_DYNAMIC);
  const interpreter = interpreterSegment && (await readInterpreter(source, interpreterSegment));
  const dynamic = dynamicSegment && (await readDynamic(source, identity, segments, dynamicSegment));
  const notes = await readNotes(source, identity, segments);
  return Object.freeze({
    ...base,
    linkage: linkageOf(identity.type, interpreter, dynamic),
    abi: readAbi(identity, interpreter),
    ...(interpreter !== undefined && { interpreter }),
    ...(dynamic && { dynamic }),
    ...notes,
  });
}

function linkageOf(
  type: number,
  interpreter: string | undefined,
  dynamic: ElfDynamic | undefined,
): Linkage {
  if (type === ET_EXEC) return interpreter === undefined ? 'static' : 'dynamic';
  // Executables and libraries share ET_DYN. Linkers since 2016 mark executables with DF_1_PIE;
  // before, DT_DEBUG does. An interpreter alone says nothing when there is a soname: libc.so.6.
  const program =
    dynamic === undefined ||
    dynamic.pie ||
    dynamic.debug ||
    (interpreter !== undefined && dynamic.soname === undefined);
  if (!program) return 'shared-object';
  return interpreter === undefined ? 'static-pie' : 'dynamic';
}
