import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UportError } from '@uport/errors';

/** The launcher built for one host CPU. */
export interface Launcher {
  /** Absolute path of the program. */
  readonly path: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  /** In bytes. */
  readonly size: number;
}

/** The CPUs, by uport's names, that a launcher is prebuilt for. */
export const LAUNCHER_HOSTS: readonly string[] = Object.freeze([
  'x86_64',
  'aarch64',
  'riscv64',
  'ppc64le',
  's390x',
  'loongarch64',
  'arm',
  'i386',
]);

const PREBUILT = new URL('../prebuilt/', import.meta.url);

function damaged(file: string, message: string, cause?: unknown): UportError {
  return new UportError({
    code: 'UPORT_LAUNCHER_DAMAGED',
    category: 'environment',
    message,
    hint: 'install @uport/launcher again',
    file,
    ...(cause === undefined ? {} : { cause }),
  });
}

function read(url: URL): Buffer {
  try {
    return readFileSync(url);
  } catch (cause) {
    throw damaged(fileURLToPath(url), 'a file of @uport/launcher cannot be read', cause);
  }
}

/**
 * The licences of the prebuilt launchers: uport's own, and those of what is linked into them.
 *
 * @throws UportError UPORT_LAUNCHER_DAMAGED
 */
export function launcherLicense(): string {
  const text = (name: string) =>
    read(new URL(`../${name}`, PREBUILT))
      .toString('utf8')
      .trimEnd();
  return `${text('LICENSE')}\n\n${text('LICENSE.prebuilt')}\n`;
}

/**
 * Finds the prebuilt launcher of a host and checks its bytes against prebuilt/SHA256SUMS.
 *
 * @param hostName uport's name of the CPU, such as `aarch64`
 * @returns undefined when there is no launcher for that CPU
 * @throws UportError UPORT_LAUNCHER_DAMAGED
 */
export function launcherFor(hostName: string): Launcher | undefined {
  if (!LAUNCHER_HOSTS.includes(hostName)) return undefined;
  const url = new URL(`${hostName}/launch`, PREBUILT);
  const path = fileURLToPath(url);
  const bytes = read(url);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const sums = read(new URL('SHA256SUMS', PREBUILT)).toString('latin1').split('\n');
  if (!sums.includes(`${sha256}  ${hostName}/launch`)) {
    throw damaged(path, 'the launcher does not have the checksum that SHA256SUMS gives');
  }
  return Object.freeze({ path, sha256, size: bytes.length });
}
