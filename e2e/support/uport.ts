import { spawn } from 'node:child_process';
import path from 'node:path';
import { type BuildOutcome, type BuildRequest, cacheFolder, REPOSITORY } from '@uport/testkit';

/** The built command, started with the Node that runs the tests. */
export const UPORT = path.join(REPOSITORY, 'node_modules/.bin/uport');

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly umask?: number;
  readonly uid?: number;
  /** Sends SIGINT after so many milliseconds. */
  readonly interruptAfter?: number;
  /** Sends SIGINT once this was printed. */
  readonly interruptOn?: string;
  /** In seconds; 120 when left out. */
  readonly seconds?: number;
}

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; killed when its time is over. */
export function start(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      // Whatever store a test gives: what Node has compiled is kept for the next one.
      env: { NODE_COMPILE_CACHE: cacheFolder('compiled'), ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: (options.seconds ?? 120) * 1000,
      killSignal: 'SIGKILL',
      ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      output.push(chunk);
      if (options.interruptOn === Buffer.concat(output).toString()) child.kill('SIGINT');
    });
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    const interruption =
      options.interruptAfter === undefined
        ? undefined
        : setTimeout(() => child.kill('SIGINT'), options.interruptAfter);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(interruption);
      resolve({
        status: status ?? (signal === 'SIGINT' ? 130 : -1),
        stdout: Buffer.concat(output).toString(),
        stderr: Buffer.concat(errors).toString(),
      });
    });
  });
}

/** Runs `uport`, with the store that all tests share. */
export function uport(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  const env = { UPORT_STORE_DIR: cacheFolder('store'), ...options.env };
  const command = [process.execPath, UPORT, ...args];
  if (options.umask === undefined) {
    return start(command[0] as string, command.slice(1), { ...options, env });
  }
  const script = `umask ${options.umask.toString(8)}; exec "$@"`;
  return start('/bin/sh', ['-c', script, 'sh', ...command], { ...options, env });
}

/** The stable code that a failed command printed. */
export function errorCode(finished: Finished): string | undefined {
  return /^uport: (UPORT_[A-Z0-9_]+): /m.exec(finished.stderr)?.[1];
}

/** `uport build` for the conformance suite. */
export async function build(
  request: BuildRequest,
  flags: readonly string[],
): Promise<BuildOutcome> {
  const finished = await uport(['build', request.input, '-o', request.outDir, ...flags], request);
  const error = errorCode(finished);
  return { status: finished.status, ...(error !== undefined && { error }) };
}
