// The launcher's SHA-256, seen through what it accepts: a blob counts only when its digest, taken by
// Node, is the one that the launcher computes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, makeBench, run, THIS_HOST, works } from './testing/launch.ts';
import { sha256 } from './testing/payload.ts';
import { exampleApp, launcherBytes, writeApp } from './testing/universal.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('sha256.test.ts: skipped, there is no launcher for this machine');

describe.skipIf(!THIS_HOST)('SHA-256', () => {
  let bench: Bench;
  beforeAll(() => {
    bench = makeBench();
  });
  afterAll(() => bench.remove());

  // Around the sizes at which the padding takes another block.
  test.each([0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 4095, 131072, 131073])(
    'of %i bytes',
    (size) => {
      const content = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255));
      const script = '#!/bin/sh\nexec sha256sum "$(dirname "$0")/../qemu-m68k"\n';
      const app = writeApp(
        bench,
        host,
        exampleApp(host, {
          hosts: [
            {
              name: host,
              launcher: launcherBytes(host),
              emulators: [{ name: 'm68k', elf: { machine: 4, bits: 32, order: 'msb' }, content }],
            },
          ],
          programs: [{ name: 'a', path: 'a' }],
          nodes: [{ file: 'a', content: script }],
        }),
        `app-${size}`,
      );
      const ran = app.start();
      expect(ran.stderr).toBe('');
      expect(ran.stdout.slice(0, 64)).toBe(sha256(content));
    },
  );
});

const QEMU = '/usr/bin/qemu-x86_64-static';
const hasOldCpu = host === 'x86_64' && works(QEMU, ['-cpu', 'qemu64', '/bin/true']);
if (host === 'x86_64' && !hasOldCpu) {
  console.warn('SHA-256 without instructions for it: apt-get install qemu-user-static');
}

test.skipIf(!hasOldCpu)('the same on a CPU that has no instructions for it', () => {
  const bench = makeBench();
  try {
    const app = writeApp(bench, host, exampleApp(host));
    const env = { UPORT_CACHE_DIR: bench.at('old'), UPORT_DEBUG: '1' };
    const ran = run(QEMU, ['-cpu', 'qemu64', app.file, 'x'], { env });
    expect(ran.stderr).toContain('unpacking into');
    expect(ran).toMatchObject({ status: 0 });
    expect(ran.stdout).toContain('\0x\0');
  } finally {
    bench.remove();
  }
});

test.skipIf(!THIS_HOST)('one wrong bit of the digest is noticed', () => {
  const bench = makeBench();
  try {
    for (const bit of [0, 7, 128, 255]) {
      const flip = (text: string) =>
        text.replace(/^(blob 0 \d+ \d+ )([0-9a-f]{64})$/m, (_, start: string, digest: string) => {
          const bytes = Buffer.from(digest, 'hex');
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          return start + bytes.toString('hex');
        });
      const app = writeApp(bench, host, exampleApp(host), `app-${bit}`, { index: flip });
      expect(app.start().stderr).toMatch(/damaged: a part of it has not the size and digest/);
      expect(run('ls', [`${bench.at(`app-${bit}`)}.cache`]).stdout).not.toContain('.tmp');
    }
  } finally {
    bench.remove();
  }
});
