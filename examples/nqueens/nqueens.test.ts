import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const compiler = spawnSync('riscv64-linux-gnu-gcc', ['-dumpfullversion'], { encoding: 'utf8' });
const missing =
  compiler.stdout?.trim() === '12.2.0'
    ? undefined
    : 'needs gcc 12.2.0: apt-get install gcc-riscv64-linux-gnu, on Debian 12';

test.skipIf(missing)(
  `the committed program is what its source compiles to${missing ? ` (${missing})` : ''}`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'nqueens-'));
    try {
      const built = path.join(folder, 'nqueens');
      execFileSync(path.join(import.meta.dirname, 'build.sh'), [built], { stdio: 'inherit' });
      expect(
        readFileSync(built).equals(readFileSync(path.join(import.meta.dirname, 'nqueens'))),
      ).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
