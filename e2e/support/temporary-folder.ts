import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A new folder; its name is short and lower case throughout, since podman takes no others. */
export async function temporaryFolder(): Promise<string> {
  const folder = path.join(tmpdir(), `uport-e2e-${crypto.randomUUID().slice(0, 13)}`);
  await mkdir(folder);
  return folder;
}

export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
