import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** A new folder; its name is short and lower case throughout, since podman takes no others. */
export async function temporaryFolder(): Promise<string> {
  const folder = path.join(tmpdir(), `uport-e2e-${crypto.randomUUID().slice(0, 13)}`);
  await mkdir(folder);
  return folder;
}

/** With its folders that nobody may write to, as Nix makes them. */
export async function removeFolder(folder: string): Promise<void> {
  if (process.getuid?.() !== 0 && existsSync(folder)) {
    await promisify(execFile)('chmod', ['-R', 'u+rwX', folder]);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
