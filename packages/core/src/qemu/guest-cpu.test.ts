import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseArch } from '../model/arch.ts';
import type { Store } from '../store/store.ts';
import { checkGuestCpu, knowsCpu } from './guest-cpu.ts';

const find = (name: string) =>
  ['qemu-NAME-static', 'qemu-NAME']
    .map((each) => `/usr/bin/${each.replace('NAME', name)}`)
    .find((file) => spawnSync(file, ['-version']).status === 0);

describe.each(['aarch64', 'x86_64', 'i386', 's390x', 'ppc64le', 'riscv64'])('qemu-%s', (name) => {
  const file = find(name);
  test.skipIf(!file)(
    `every CPU that it lists is found in it${file ? '' : ' (missing: apt-get install qemu-user-static)'}`,
    async () => {
      const { stdout } = spawnSync(file as string, ['-cpu', 'help'], { encoding: 'utf8' });
      const flags = stdout.search(/^(?:Recognized|Enhanced)/m);
      const models = (flags < 0 ? stdout : stdout.slice(0, flags))
        .split('\n')
        .map((line) => line.replace(/^(?:x86|PowerPC|s390)\s+/, '').trim())
        .filter((line) => line !== '' && !line.endsWith(':'))
        .map((line) => line.split(/\s/)[0] as string);
      expect(models.length).toBeGreaterThan(3);
      const bytes = await readFile(file as string);
      expect(models.filter((model) => !knowsCpu(bytes, model))).toEqual([]);
      for (const wrong of ['cortex-a1000', 'a72', 'swell', 'Hasvell', 'z99']) {
        expect([wrong, knowsCpu(bytes, wrong)]).toEqual([wrong, false]);
      }
    },
    120_000,
  );
});

test('what is no model is refused before anything is read', async () => {
  const store = {} as Store;
  const wrong = fc.constantFrom(
    '',
    ' ',
    'a b',
    'max,',
    'max\n',
    '-cpu',
    'help',
    'help,x',
    '?',
    'max,a=b c',
    `${'x'.repeat(65)}`,
  );
  await fc.assert(
    fc.asyncProperty(wrong, async (cpu) => {
      await expect(checkGuestCpu(cpu, parseArch('aarch64'), [], store)).rejects.toMatchObject({
        code: 'UPORT_CPU_UNKNOWN',
      });
    }),
  );
  await checkGuestCpu('max,pauth-impdef=on', parseArch('aarch64'), [], store);
});
