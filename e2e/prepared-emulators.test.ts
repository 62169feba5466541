// Prepared emulators (docs/emulators.md) run what the stock ones run. What is proven here stands in
// packages/core/src/qemu/prepared-emulator.ts. On the kernels of other hosts the newest release runs in
// universal.test.ts, with every guest; UPORT_TEST_RELEASES=1 runs each release that Debian ships there.
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { parseArch, parseEmulatorProvider, parseStockProvider, silentProgress } from '@uport/core';
import {
  fixture,
  missingHost,
  missingToolchains,
  RUNNING_CASES,
  runOnKernel,
  SIMULATED_HOSTS,
  testStore,
} from '@uport/testkit';
import { describe, expect, inject, test } from 'vitest';
import { GUESTS } from './support/guests.ts';
import { named } from './support/tools.ts';
import { start } from './support/uport.ts';

const EXEC = 2;

async function emulator(source: string, guest: string, host: string, stock = false) {
  const store = await testStore();
  const provider = stock ? parseStockProvider(source) : parseEmulatorProvider(source);
  const signal = AbortSignal.timeout(300_000);
  const context = { store, progress: silentProgress, signal };
  const found = await provider.find(parseArch(guest), parseArch(host), context);
  if (!found) throw new Error(`${source} has no emulator of ${guest} for ${host}`);
  return { ...found, file: store.pathOf(found.digest) };
}

/** e_type, and where the program is entered. */
async function header(file: string): Promise<{ type: number; entry: bigint }> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(64), 0, 64, 0);
    const little = buffer[5] === 1;
    return {
      type: little ? buffer.readUInt16LE(16) : buffer.readUInt16BE(16),
      entry: little ? buffer.readBigUInt64LE(24) : buffer.readBigUInt64BE(24),
    };
  } finally {
    await handle.close();
  }
}

/** A file of a store is not executable. */
const runnable = (file: string, ...args: readonly string[]) =>
  start('/bin/sh', [
    '-c',
    'd=$(mktemp -d) && trap "rm -rf $d" EXIT && cp "$1" $d/qemu && chmod 755 $d/qemu && shift && $d/qemu "$@"',
    'sh',
    file,
    ...args,
  ]);

const SOURCES = [
  { name: 'the newest', source: () => inject('emulators'), missing: undefined },
  {
    name: "Debian 12's",
    source: () => 'dir:/usr/bin',
    missing: existsSync('/usr/bin/qemu-riscv64-static')
      ? undefined
      : 'apt-get install qemu-user-static',
  },
];

const here = process.arch === 'x64' ? 'x86_64' : undefined;
const elsewhere = here ? undefined : 'this machine is not an x86-64 one';

describe.each(SOURCES)('$name emulators on this host', ({ source, missing }) => {
  const reason = elsewhere ?? missing;
  for (const { guest, toolchain } of GUESTS.filter((each) => each.guest !== here)) {
    const lacking = reason ?? missingToolchains(toolchain);
    test.skipIf(lacking)(named(`run ${guest}`, lacking), async () => {
      const found = await emulator(source(), guest, here as string);
      const stock = await emulator(source(), guest, here as string, true);
      expect(found.preparedFrom).toBe(stock.digest);
      expect(found.size).toBe(stock.size);
      expect(await header(found.file)).toMatchObject({ type: EXEC });
      const finished = await runnable(found.file, await fixture('probe', toolchain));
      expect(finished.stderr).toBe('');
      RUNNING_CASES[0]?.check(
        { ...finished, stdout: Buffer.from(finished.stdout), stderr: Buffer.alloc(0) } as never,
        { guest, argv0: '' },
      );
    });
  }
});

const RELEASES = [
  { suite: 'bookworm', hosts: ['aarch64'] },
  { suite: 'trixie', hosts: ['aarch64'] },
  { suite: 'sid', hosts: ['aarch64', 'riscv64', 's390x'] },
];
const asked = process.env.UPORT_TEST_RELEASES ? undefined : 'set UPORT_TEST_RELEASES=1';

describe.each(RELEASES)("$suite's emulators", ({ suite, hosts }) => {
  for (const host of hosts) {
    const name = SIMULATED_HOSTS.find(({ arch }) => arch === host)?.name ?? '';
    const lacking = asked ?? missingHost(name) ?? missingToolchains('x86_64', 'm68k', 'armhf');
    test.skipIf(lacking)(
      named(`run on ${host}'s kernel`, lacking),
      async () => {
        const guests = [
          ['x86_64', 'x86_64'],
          ['m68k', 'm68k'],
          ['arm', 'armhf'],
        ] as const;
        const files: Record<string, { copy: string; mode: number }> = {};
        const commands = [];
        for (const [guest, toolchain] of guests) {
          const found = await emulator(`debian:${suite}`, guest, host);
          expect(found.preparedFrom).toBeDefined();
          files[`/${guest}/qemu`] = { copy: found.file, mode: 0o755 };
          files[`/${guest}/probe`] = { copy: await fixture('probe', toolchain), mode: 0o755 };
          commands.push({ argv: [`/${guest}/qemu`, `/${guest}/probe`], uid: 1000, seconds: 120 });
        }
        const { results } = await runOnKernel(name, files, commands, { seconds: 500 });
        const output = results.map(({ status, stdout }) => [status, stdout.toString()]);
        expect(output).toEqual([
          [0, 'hello from a 64-bit lsb program\n'],
          [0, 'hello from a 32-bit msb program\n'],
          [0, 'hello from a 32-bit lsb program\n'],
        ]);
      },
      600_000,
    );
  }
});
