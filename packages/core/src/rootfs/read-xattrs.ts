// Extended attributes of files on disk. Node has no call for them, so the attr package's getfattr is
// asked, where it is installed.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { BytePath } from '../model/payload-tree.ts';
import type { Xattrs } from '../tar/tar-header.ts';

/**
 * The attributes that archives carry, `security.capability` and `user.*`, of all files of a root; by
 * path below it. Without getfattr there are none, and the user is told.
 */
export async function readXattrs(
  root: string,
  context: { readonly signal: AbortSignal; readonly warn?: (message: string) => void },
): Promise<ReadonlyMap<BytePath, Xattrs>> {
  const found = new Map<BytePath, Xattrs>();
  const pattern = '^(security\\.capability|user\\.)';
  const child = spawn('getfattr', ['-R', '-P', '-h', '-d', '-m', pattern, '-e', 'hex', '.'], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    signal: context.signal,
  });
  const ended = new Promise<Error | undefined>((resolve) => {
    child.on('error', resolve);
    child.on('close', () => resolve(undefined));
  });
  child.stdout.setEncoding('latin1');
  let file: BytePath | undefined;
  let own: Record<string, string> = {};
  for await (const line of createInterface({ input: child.stdout, crlfDelay: 0 })) {
    const name = /^# file: (?:\.\/)?(.*)$/.exec(line)?.[1];
    if (name !== undefined) {
      file = plainBytes(name) as BytePath;
      own = {};
      found.set(file, own);
      continue;
    }
    const attribute = /^([^=]+)=0x([0-9a-f]*)$/.exec(line);
    if (file === undefined || !attribute) continue;
    const [, key, hex] = attribute as unknown as [string, string, string];
    own[plainBytes(key)] = Buffer.from(hex, 'hex').toString('latin1');
  }
  const error = await ended;
  context.signal.throwIfAborted();
  if (error !== undefined) {
    context.warn?.(
      'extended attributes, such as capabilities, were not read: install attr, or give a tar',
    );
  }
  return found;
}

/** getfattr writes bytes that are not printable as `\\OOO`. */
function plainBytes(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
