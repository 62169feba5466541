// Runs a command to its end and keeps what it printed.
import { spawn } from 'node:child_process';
import os from 'node:os';
import { systemError } from '../system-error.ts';

/** A command as execve takes it. */
export interface Start {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Observed {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** As a shell gives it: 128 + n for signal n. */
  readonly status: number;
  /** It did not end in its time and was killed. */
  readonly timedOut: boolean;
}

const SIGNALS: Readonly<Record<string, number>> = os.constants.signals;

/** What is kept of each stream, in bytes. */
const KEPT = 16 * 1024 * 1024;

export interface ObserveOptions {
  /** Of its whole run. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Standard input is empty. @throws UportError when it cannot be started */
export function observe(start: Start, options: ObserveOptions): Promise<Observed> {
  const { signal, seconds } = options;
  const [program, ...args] = start.argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program as string, args, {
      env: start.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it left behind ends with it.
      detached: true,
    });
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, seconds * 1000);
    signal.addEventListener('abort', kill, { once: true });
    const stdout = keep(child.stdout);
    const stderr = keep(child.stderr);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
    };
    child.on('error', (error) => {
      done();
      reject(systemError(error, program));
    });
    // A process in the background may keep the pipes open.
    child.on('exit', () => setTimeout(kill, 200).unref());
    child.on('close', (code, killer) => {
      done();
      if (signal.aborted) reject(signal.reason);
      const status = code ?? 128 + (SIGNALS[killer ?? ''] ?? 0);
      resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), status, timedOut });
    });
  });
}

function keep(stream: NodeJS.ReadableStream): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size < KEPT) chunks.push(chunk.subarray(0, KEPT - size));
    size += chunk.length;
  });
  return chunks;
}
