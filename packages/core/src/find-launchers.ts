import { launcherFor } from '@uport/launcher';
import type { Arch } from './model/arch.ts';
import type { ContentSource } from './model/content.ts';
import { type Digest, sha256Digest } from './model/digest.ts';
import type { PinnedFile } from './plan/plan.ts';

/** The launchers of those hosts that have one, by host name, and where they lie. */
export interface FoundLaunchers {
  readonly pins: ReadonlyMap<string, PinnedFile>;
  readonly content: ContentSource;
}

/** @throws UportError UPORT_LAUNCHER_DAMAGED */
export function findLaunchers(hosts: readonly Arch[]): FoundLaunchers {
  const pins = new Map<string, PinnedFile>();
  const files = new Map<Digest, string>();
  for (const host of hosts) {
    const launcher = launcherFor(host.name);
    if (launcher === undefined) continue;
    const digest = sha256Digest(launcher.sha256);
    pins.set(host.name, { digest, size: launcher.size });
    files.set(digest, launcher.path);
  }
  return { pins, content: { locate: (digest) => files.get(digest) } };
}
