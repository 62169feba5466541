// Which emulator a launcher took, out of what it tells with UPORT_DEBUG=1. Pure.

/** Makes the launcher of the simulated host tell its decisions, on standard error. */
export const TELL: Readonly<Record<string, string>> = Object.freeze({ UPORT_DEBUG: '1' });

const TOLD = Buffer.from('uport: debug: ');

export interface Taken {
  /** `box64`, or `qemu-x86_64 (box64 passed over: its trial ended with 1)`. */
  readonly runs: string;
  /** Standard error without what the launcher told. */
  readonly stderr: Buffer;
}

/**
 * @param emulator what takes the translator's place
 * @returns what the app's first program was started with
 */
export function takenEmulator(stderr: Buffer, translator: string, emulator: string): Taken {
  const told: string[] = [];
  const rest: Buffer[] = [];
  for (let at = 0; at < stderr.length; ) {
    const newline = stderr.indexOf(0x0a, at);
    const end = newline < 0 ? stderr.length : newline + 1;
    const line = stderr.subarray(at, end);
    if (line.subarray(0, TOLD.length).equals(TOLD)) told.push(line.toString('utf8').trimEnd());
    else rest.push(line);
    at = end;
  }
  const passed = `: ${translator} is passed over for `;
  // An outer launcher tells of itself too: only the app's own has a translator.
  for (const line of told) {
    if (line.includes(`: started with ${translator}, `))
      return { runs: translator, stderr: Buffer.concat(rest) };
    const at = line.indexOf(passed);
    if (at < 0) continue;
    const reason = line.slice(at + passed.length).replace(/^[^:]*: /, '');
    return { runs: `${emulator} (${translator}: ${reason})`, stderr: Buffer.concat(rest) };
  }
  return { runs: emulator, stderr: Buffer.concat(rest) };
}
