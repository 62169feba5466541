import { spawn } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import type { CommandResult } from '@uport/testkit';

export interface RunBytesOptions {
  readonly stdin?: Uint8Array;
  /** Told each piece of standard output as it comes. */
  readonly onOutput?: (text: string) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** 60 when left out. */
  readonly seconds?: number;
}

/** Runs a command whose words are bytes as Latin-1; Node itself passes arguments as UTF-8 only. */
export async function runBytes(
  command: readonly string[],
  options: RunBytesOptions = {},
): Promise<CommandResult> {
  const script = path.join(tmpdir(), `uport-e2e-${crypto.randomUUID()}.sh`);
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  await writeFile(script, `exec ${words.join(' ')}\n`, 'latin1');
  try {
    return await runScript(script, options);
  } finally {
    await rm(script, { force: true });
  }
}

function runScript(script: string, options: RunBytesOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', [script], {
      env: { ...process.env, ...options.env },
      timeout: (options.seconds ?? 60) * 1000,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      output.push(chunk);
      options.onOutput?.(chunk.toString());
    });
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', reject);
    child.on('close', (status, signal) =>
      resolve({
        stdout: Buffer.concat(output),
        stderr: Buffer.concat(errors),
        status: status ?? 128 + (signal ? constants.signals[signal] : 0),
        signal: signal ? constants.signals[signal] : 0,
      }),
    );
    // A program that doesn't read its input closes the pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin ?? Buffer.of());
  });
}
