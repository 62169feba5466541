import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { TOOLCHAINS } from './fixtures/index.ts';
import { SIMULATED_HOSTS } from './kernels/index.ts';

test('the list of packages that tests need is sorted and holds what the tables name', async () => {
  const text = await readFile(new URL('../debian-packages.json', import.meta.url), 'utf8');
  const listed: string[] = JSON.parse(text);
  expect(listed).toEqual([...new Set(listed)].sort());
  const crossCompilers = TOOLCHAINS.filter((row) => row.name !== 'x86_64');
  const named = [
    ...crossCompilers.flatMap((row) => row.packages),
    ...SIMULATED_HOSTS.flatMap((host) => host.machine?.packages ?? []),
  ];
  expect(named.filter((name) => !listed.includes(name))).toEqual([]);
});
