import { UportError } from '@uport/core/model';
import type { RunCommand } from '@uport/core/run';

/** Becomes another program: terminal, signals and exit status are its own. */
export function handOver(command: RunCommand): never {
  if (process.execve === undefined) {
    throw new UportError({
      code: 'UPORT_NODE_TOO_OLD',
      category: 'environment',
      message: 'this Node cannot hand over to another program',
      hint: 'use Node 22.15 or newer, on Linux',
    });
  }
  process.execve(command.program, [...command.argv], { ...command.env });
  throw new TypeError('execve returned');
}

export function inheritedEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) env[name] = value;
  }
  return env;
}
