// One folder for all temporary files of a test run, removed with whatever tests leave in it.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export default function setup(): () => void {
  // Short: sockets lie in it, and a socket's path has 107 bytes at most.
  const folder = path.join(tmpdir(), `uport-t${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  // As /tmp is: some tests start other users.
  chmodSync(folder, 0o1777);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    // Nix's folders are read-only.
    spawnSync('chmod', ['-R', 'u+rwX', folder], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}
