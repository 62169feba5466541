import type { DebianLibraries } from '@uport/core';
import { type Closure, closureOfFile } from '@uport/core/closure';
import { displayBytes, EXIT_STATUS } from '@uport/core/model';
import {
  closureFaults,
  closureList,
  closureTree,
  debianLines,
  debianList,
  runtimeLoadLines,
} from './closure-text.ts';

export interface DepsFlags {
  readonly list?: boolean | undefined;
  readonly lib?: readonly string[] | undefined;
  readonly sysroot?: string | undefined;
  readonly app?: string | undefined;
  readonly preload?: readonly string[] | undefined;
  readonly opens?: readonly string[] | undefined;
  readonly hwcaps?: readonly string[] | undefined;
}

/** Where the lines of a command go. */
export interface CommandOutput {
  /** JSON is wanted, so that no lines are printed. */
  readonly json: boolean;
  readonly log: (line: string) => void;
  readonly tell: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Looks for what a closure lacks. */
  readonly findMissing?: (closure: Closure) => Promise<DebianLibraries>;
}

/** What `uport deps` does; sets the exit status, answers what `--json` prints. */
export async function showDeps(
  file: string,
  flags: DepsFlags,
  output: CommandOutput,
): Promise<Record<string, unknown>> {
  const libraryPath = (process.env.LD_LIBRARY_PATH ?? '').split(/[:;]/).filter((each) => each);
  const closure = await closureOfFile({
    file,
    libraryFolders: [...(flags.lib ?? []), ...libraryPath],
    ...(flags.sysroot !== undefined && { sysroot: flags.sysroot }),
    ...(flags.app !== undefined && { appFolder: flags.app }),
    ...(flags.preload && { preload: flags.preload }),
    ...(flags.opens && { opened: flags.opens }),
    ...(flags.hwcaps && { hwcaps: flags.hwcaps }),
    withoutRuntimeLoads: flags.list === true && !output.json,
    ...(output.signal && { signal: output.signal }),
  });
  const debian = await output.findMissing?.(closure);
  const faults = closureFaults(closure, debian);
  if (flags.list) {
    for (const line of closureList(closure)) output.log(line);
    for (const line of debianList(debian)) output.log(line);
    for (const fault of faults) output.tell(fault);
  } else report(closure, faults, output, debian);
  const lacks = debian ? debian.absent.length > 0 : closure.missing.length > 0;
  if (lacks || closure.missingVersions.some(({ weak }) => !weak)) {
    process.exitCode = EXIT_STATUS.validation;
  }
  return asJson({ ...closure, ...(debian && { debian }) }, file);
}

function report(
  closure: Closure,
  faults: readonly string[],
  { log }: CommandOutput,
  debian: DebianLibraries | undefined,
): void {
  if (closure.linker === 'none') log('static: it loads no libraries');
  for (const line of closureTree(closure, debian)) log(line);
  for (const fault of faults) log(fault);
  for (const line of debianLines(debian)) log(line);
  const runtime = runtimeLoadLines(closure);
  if (runtime.length > 0) log('at run time, as far as can be told:');
  for (const line of runtime) log(line);
}

/** File names as text; where the bytes are no UTF-8, with escapes. */
function asJson(closure: Closure, file: string): Record<string, unknown> {
  const plain = JSON.stringify(closure, (key, value: unknown) => {
    if (key === 'file') return undefined;
    return typeof value === 'string' ? displayBytes(value) : value;
  });
  return { file, ...JSON.parse(plain) };
}
