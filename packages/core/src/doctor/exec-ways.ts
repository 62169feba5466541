// Which ways of starting an app's children this machine allows: the launcher itself tries each.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** As UPORT_EXEC names them. */
export type ExecWay = 'binfmt' | 'userns' | 'ptrace' | 'none';

export interface ExecWayTrial {
  readonly way: ExecWay;
  readonly works: boolean;
  /** Why not, in the launcher's words. */
  readonly reason?: string;
}

export interface ExecWays {
  readonly trials: readonly ExecWayTrial[];
  /** What is taken when nothing is forced. */
  readonly chosen: ExecWay;
  /** Why better ones are not taken. */
  readonly passedOver: readonly { readonly way: ExecWay; readonly reason: string }[];
}

const TRIED: readonly ExecWay[] = ['binfmt', 'userns', 'ptrace'];

/** @param launcher with a manifest of the guests beside it */
export async function tryExecWays(launcher: string, signal: AbortSignal): Promise<ExecWays> {
  const trials: ExecWayTrial[] = [];
  for (const way of TRIED) {
    const { status, told } = await launch(launcher, way, signal);
    const reason = /cannot be had here: (.*?)(?:; leave UPORT_EXEC out.*)?$/m.exec(told)?.[1];
    trials.push({
      way,
      works: status === 0,
      ...(status !== 0 && { reason: reason ?? told.trim().split('\n').at(-1) ?? '' }),
    });
  }
  const { told } = await launch(launcher, 'auto', signal);
  const chosen = /children: (binfmt|userns|ptrace) is the way$/m.exec(told)?.[1] as
    | ExecWay
    | undefined;
  const passedOver = [...told.matchAll(/children: not (binfmt|userns|ptrace): (.*)$/gm)].map(
    ([, way, reason]) => ({ way: way as ExecWay, reason: reason as string }),
  );
  return { trials, chosen: chosen ?? 'none', passedOver };
}

/** The launcher starts itself as the app, which ends at once. */
async function launch(
  launcher: string,
  way: string,
  signal: AbortSignal,
): Promise<{ status: number; told: string }> {
  const env = { ...process.env, UPORT_EXEC: way, UPORT_DEBUG: '1' };
  try {
    const { stderr } = await run(launcher, ['--', launcher, '--probe'], { env, signal });
    return { status: 0, told: stderr };
  } catch (error) {
    signal.throwIfAborted();
    const { code, stderr, message } = error as { code?: unknown; stderr?: string; message: string };
    return { status: typeof code === 'number' ? code : 1, told: stderr || message };
  }
}
