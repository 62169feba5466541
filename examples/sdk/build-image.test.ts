import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readLayout, validateLayout } from '@uport/core';
import { expect, test } from 'vitest';

const mirror = spawnSync('apt-get', ['indextargets'], { encoding: 'utf8' });
const reachable = mirror.status === 0 || process.env.UPORT_DEBIAN_MIRROR !== undefined;
const reason = reachable ? '' : ' (needs a Debian mirror: set UPORT_DEBIAN_MIRROR)';

test.skipIf(!reachable)(
  `ten lines make an image of three platforms${reason}`,
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sdk-'));
    try {
      const printed = execFileSync(
        process.execPath,
        ['build-image.ts', '../nqueens/nqueens', folder],
        { cwd: import.meta.dirname, encoding: 'utf8' },
      );
      expect(printed).toContain('aarch64 emulated');
      const layout = path.join(folder, 'oci');
      expect(await validateLayout(layout)).toEqual([]);
      const { roots } = await readLayout(layout);
      const images = roots.filter(({ referrersOf }) => referrersOf === undefined);
      expect(images.map(({ tag }) => tag)).toEqual(['latest', '1.0']);
      expect(roots).toHaveLength(3);
      expect(roots[0]?.images).toHaveLength(3);
      expect(JSON.parse(readFileSync(path.join(folder, 'plan.json'), 'utf8'))).toMatchObject({
        app: { guest: 'riscv64' },
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  300_000,
);
