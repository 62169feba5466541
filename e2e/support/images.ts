import { missingToolchains } from '@uport/testkit';
import { inject } from 'vitest';
import type { BuiltImage } from './build-images.ts';

/** The image of a guest that global set-up built. */
export function builtImage(guest: string): BuiltImage {
  const image = inject('images').find((each) => each.guest === guest);
  if (!image) throw new Error(`no image of ${guest}: ${missingToolchains(guest)}`);
  if (image.finished.status !== 0) throw new Error(`uport build failed: ${image.finished.stderr}`);
  return image;
}
