import type { PushResult } from '@uport/core';

/** One line for people. */
export function describePush(push: PushResult): string {
  return `pushed ${push.reference}@${push.digest}: ${push.uploadedBlobs} blobs sent, ${push.mountedBlobs} mounted, ${push.existingBlobs} were there`;
}
