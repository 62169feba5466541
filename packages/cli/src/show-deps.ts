import { type Closure, closureOfFile } from '@uport/core/closure';
import { displayBytes, EXIT_STATUS } from '@uport/core/model';
import { closureFaults, closureList, closureTree, runtimeLoadLines } from './closure-text.ts';

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
  const faults = closureFaults(closure);
  if (flags.list) {
    for (const line of closureList(closure)) output.log(line);
    for (const fault of faults) output.tell(fault);
  } else report(closure, faults, output);
  if (closure.missing.length > 0 || closure.missingVersions.some(({ weak }) => !weak)) {
    process.exitCode = EXIT_STATUS.validation;
  }
  return { file, ...asJson(closure) };
}

function report(closure: Closure, faults: readonly string[], { log }: CommandOutput): void {
  if (closure.linker === 'none') log('static: it loads no libraries');
  for (const line of closureTree(closure)) log(line);
  for (const fault of faults) log(fault);
  const runtime = runtimeLoadLines(closure);
  if (runtime.length > 0) log('at run time, as far as can be told:');
  for (const line of runtime) log(line);
}

/** File names as text; where the bytes are no UTF-8, with escapes. */
function asJson(closure: Closure): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(closure, (key, value: unknown) => {
      if (key === 'file') return undefined;
      return typeof value === 'string' ? displayBytes(value) : value;
    }),
  );
}
