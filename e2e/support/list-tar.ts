import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';

/** What GNU tar says of an entry. */
export interface TarLine {
  /** Without `./` before and `/` behind it. */
  readonly path: string;
  /** As `ls -l` shows it; of a further name of a file, `h` comes first. */
  readonly mode: string;
  /** `UID/GID`. */
  readonly owner: string;
  /** Of devices: major and minor. */
  readonly size: string;
  readonly time: string;
  /** Of symbolic and hard links. */
  readonly target: string;
  /** sha256 of a file's bytes, as they are once unpacked. */
  readonly digest: string;
}

const LINE = /^(\S{10}) (\d+\/\d+)\s+(\d+(?:,\d+)?) (\S+ \S+) (.*)$/;

/** Lists a tar with GNU tar, and unpacks it with GNU tar to look at the bytes. */
export async function listTar(file: string): Promise<readonly TarLine[]> {
  const folder = await temporaryFolder();
  try {
    const out = path.join(folder, 'out');
    await mkdir(out);
    const digests = new Map<string, string>();
    // Devices are refused to an ordinary user.
    run('tar', ['-xf', file, '-C', out, '--no-same-owner', '--exclude=./dev/*', '--exclude=dev/*']);
    const sums = run('find', ['.', '-type', 'f', '-exec', 'sha256sum', '{}', '+'], out);
    for (const line of sums.split('\n')) digests.set(line.slice(68), line.slice(0, 64));
    const listed = run('tar', ['--numeric-owner', '--full-time', '--utc', '-tvf', file]);
    return listed.split('\n').flatMap((line) => {
      const [, mode, owner, size, time, rest] = LINE.exec(line) ?? [];
      if (mode === undefined || rest === undefined) return [];
      const [name, target = ''] = rest.split(mode.startsWith('l') ? ' -> ' : ' link to ');
      const plain = (name as string).replace(/^\.\//, '').replace(/\/$/, '');
      return {
        ...{ path: plain === '.' ? '' : plain, mode, target },
        ...{ owner: owner as string, size: size as string, time: time as string },
        digest: digests.get(plain) ?? '',
      };
    });
  } finally {
    await removeFolder(folder);
  }
}

function run(program: string, args: readonly string[], cwd?: string): string {
  const options = { encoding: 'utf8' as const, maxBuffer: 1 << 28, ...(cwd && { cwd }) };
  const { status, stdout, stderr } = spawnSync(program, args, options);
  if (status !== 0) throw new Error(`${program} failed: ${stderr}`);
  return stdout;
}
