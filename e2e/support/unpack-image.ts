import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { blobFile, type Config, readImages } from './layout.ts';

/**
 * A platform's root file system, unpacked with GNU tar into a folder; answers how it starts.
 *
 * @param platform such as `linux/arm64/v8`
 */
export async function unpackImage(
  layout: string,
  platform: string,
  folder: string,
): Promise<Config['config']> {
  const image = (await readImages(layout)).find((each) => each.platform === platform);
  if (!image) throw new Error(`${layout} has no ${platform}`);
  await mkdir(folder, { recursive: true });
  for (const { digest } of image.manifest.layers) {
    const options = ['--extract', '--preserve-permissions', '--file', blobFile(layout, digest)];
    const { status, stderr } = spawnSync('tar', [...options, '--directory', folder]);
    if (status !== 0) throw new Error(`tar ended with ${status}: ${stderr}`);
  }
  return image.config.config;
}
