// What the first process of a simulated machine said on its console.
import { createHash } from 'node:crypto';
import { UportError } from '@uport/errors';

/** How a command ended on a simulated machine. */
export interface KernelReport {
  /** `uname -r`. */
  readonly kernel: string;
  /** In bytes. */
  readonly pageSize: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** As a shell gives it: 128 + n for signal n. */
  readonly status: number;
  /** It did not end in its time and was killed. */
  readonly timedOut: boolean;
}

/**
 * Reads what came over the console. Lines of the kernel and of firmware are passed over.
 *
 * @throws UportError UPORT_KERNEL_FAILED when the machine did not come to the end, or lines are damaged
 */
export function readReport(text: string): KernelReport {
  let kernel: readonly [string, number] | undefined;
  const streams = { stdout: [] as string[], stderr: [] as string[] };
  const whole = new Map<string, Buffer>();
  for (const line of text.split('\n')) {
    // Firmware may leave control codes before the first line.
    const [, word = '', rest = ''] = /@@ ([a-z]+) ([\x20-\x7e]*)\r?$/.exec(line) ?? [];
    if (word === 'kernel') {
      const [release = '', pageSize] = rest.split(' ');
      kernel = [release, Number(pageSize)];
    } else if (word === 'stdout' || word === 'stderr') streams[word].push(rest);
    else if (word === 'sum') {
      const [stream = '', sum] = rest.split(' ');
      const bytes = Buffer.from(streams[stream as 'stdout'].join(''), 'base64');
      if (createHash('sha256').update(bytes).digest('hex') !== sum) {
        throw failed('what came over its console is damaged', text);
      }
      whole.set(stream, bytes);
    } else if (word === 'status' && kernel !== undefined) {
      const [stdout, stderr] = [whole.get('stdout'), whole.get('stderr')];
      if (stdout === undefined || stderr === undefined) break;
      const timedOut = rest === 'late';
      const status = timedOut ? 137 : Number(rest);
      return { kernel: kernel[0], pageSize: kernel[1], stdout, stderr, status, timedOut };
    }
  }
  throw failed('the simulated machine stopped before it had run the app', text);
}

function failed(message: string, text: string): UportError {
  const last = text.trim().split('\n').slice(-3).join(' | ');
  return new UportError({
    code: 'UPORT_KERNEL_FAILED',
    category: 'environment',
    message: `${message}; the last that it said: ${last.replace(/[^\x20-\x7e]/g, '?').slice(-300)}`,
    hint: 'try again; a machine with much to do may need --timeout',
  });
}
