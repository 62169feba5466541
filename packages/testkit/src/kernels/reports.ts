/** How a command on a simulated host ended. */
export interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** As a shell gives it: 128 + n for signal n; -1 when the time was over. */
  readonly status: number;
  /** The signal that killed it, else 0. */
  readonly signal: number;
}

/** What the first process of a simulated host had to say. */
export interface HostReport {
  /** `uname -r`. */
  readonly kernel: string;
  /** In bytes. */
  readonly pageSize: number;
  readonly results: readonly CommandResult[];
}

/**
 * Reads the lines that `init.c` writes; others (a kernel's, a firmware's) are passed over.
 *
 * @throws Error when a line was damaged, or the last one is missing
 */
export function parseReports(text: string): HostReport {
  let kernel = '';
  let pageSize = 0;
  const results: CommandResult[] = [];
  let stdout: Buffer[] = [];
  let stderr: Buffer[] = [];
  for (const line of text.split('\n')) {
    // Firmware may leave control codes before the first line.
    const report = line.slice(Math.max(0, line.indexOf('@@ '))).trimEnd();
    if (report === '@@ end') return { kernel, pageSize, results };
    const parts = /^@@ ([a-z]) (\S*) ([0-9a-f]{8})$/.exec(report);
    if (!parts) {
      if (report.startsWith('@@ ')) throw new Error(`a damaged report: ${JSON.stringify(line)}`);
      continue;
    }
    const bytes = Buffer.from(parts[2] as string, 'base64');
    if (checksum(bytes) !== parts[3]) throw new Error(`a damaged report: ${JSON.stringify(line)}`);
    const words = bytes.toString().split(' ');
    if (parts[1] === 'f') throw new Error(`the simulated host failed: ${bytes}`);
    else if (parts[1] === 'k') [kernel, pageSize] = [words[0] as string, Number(words[1])];
    else if (parts[1] === 'o') stdout.push(bytes);
    else if (parts[1] === 'e') stderr.push(bytes);
    else {
      results.push({
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
        status: Number(words[0]),
        signal: Number(words[1]),
      });
      [stdout, stderr] = [[], []];
    }
  }
  throw new Error(
    `the simulated host ended after ${results.length} commands:\n${text.slice(-4000)}`,
  );
}

/** FNV-1a, 32 bits. */
function checksum(bytes: Uint8Array): string {
  let sum = 2166136261;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 16777619);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
