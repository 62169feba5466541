import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  quote,
  run,
  THIS_HOST,
} from './testing/launch.ts';

// Linux >= 6.7 gives each user namespace its own binfmt_misc, so nothing of the machine is touched.
const MOUNT = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc';
const PRIVATE = ['-Urm', 'sh', '-ec'];
const canRegister =
  run('unshare', [...PRIVATE, `${MOUNT}; test -w /proc/sys/fs/binfmt_misc/register`]).status === 0;
if (!THIS_HOST || !canRegister) {
  console.warn('binfmt.test.ts: needs user namespaces and a private binfmt_misc (Linux >= 6.7)');
}

/** The start of an m68k program, as a registration spells it. */
const MAGIC = '\\x7fELF\\x01\\x02\\x01';

describe.skipIf(!THIS_HOST || !canRegister)('with a binfmt_misc registration', () => {
  let bench: Bench;
  let launch: string;
  beforeAll(() => {
    bench = makeBench();
    // Without options of the emulator: those a registration of the system would not give it.
    bench.program('.uport/own', `#!/bin/sh\nprintf '%s\\0' own "$@"\n`);
    bench.program('system', `#!/bin/sh\nprintf '%s\\0' system "$@"\n`);
    launch = bench.launcher(THIS_HOST ?? '', [
      { name: 'm68k', elf: CPUS.m68k, path: 'own', args: [] },
    ]);
    bench.program('apps/m68k', elfHeader(CPUS.m68k));
    bench.program('apps/m68k.app', elfHeader(CPUS.m68k));
    bench.program('apps/hppa', elfHeader(CPUS.hppa));
    bench.program('apps/script', `#!${bench.at('apps/m68k')} -x\n`);
  });
  afterAll(() => bench.remove());

  /** Registers `lines`, then starts a program through the launcher; says who ran it. */
  function start(lines: readonly string[], args: readonly string[], after = ''): readonly string[] {
    const commands = [
      MOUNT,
      ...lines.map((line) => `echo ${quote(line)} >/proc/sys/fs/binfmt_misc/register`),
      after,
      `PATH=${quote(bench.at('apps'))}:$PATH`,
      `exec ${[launch, ...args].map(quote).join(' ')}`,
    ];
    const ran = run('unshare', [...PRIVATE, commands.filter((line) => line).join('\n')], {
      env: { UPORT_EXEC: 'auto' },
    });
    expect(ran.stderr).toBe('');
    return fields(ran.stdout);
  }
  const line = (flags: string, interpreter = bench.at('system')) =>
    `:one:M::${MAGIC}:\\xff\\xff\\xff\\xff\\xff\\xff\\xff:${interpreter}:${flags}`;

  test('one that keeps argv[0] is used', () => {
    const app = bench.at('apps/m68k');
    expect(start([line('P')], [app, 'a b', ''])).toEqual(['system', app, app, 'a b', '']);
    // The kernel hands the interpreter's script the path, then argv[0] as given.
    expect(start([line('P')], ['m68k'])).toEqual(['system', app, 'm68k']);
  });

  test('one that loses argv[0] is passed over: what the app starts would lose it', () => {
    const app = bench.at('apps/m68k');
    expect(start([line('')], [app, 'x'])).toEqual(['own', '-0', app, app, 'x']);
    expect(start([line('')], ['m68k', 'x'])).toEqual(['own', '-0', 'm68k', app, 'x']);
    expect(start([line('')], ['--argv0', 'n', app])).toEqual(['own', '-0', 'n', app]);
  });

  test('it serves scripts too', () => {
    const [app, script] = [bench.at('apps/m68k'), bench.at('apps/script')];
    const ran = start([line('P')], ['script', 'y']);
    expect(ran).toEqual(['system', app, app, '-x', script, 'y']);
  });

  test('one for a file name suffix is passed over: it does not take all programs', () => {
    const registration = `:two:E::app::${bench.at('system')}:P`;
    expect(start([registration], [bench.at('apps/m68k')])[0]).toBe('own');
  });

  test.each([
    ['whose interpreter is not here', (at: Bench['at']) => line('P', at('nothing')), ''],
    ['for other programs', () => line('P').replace('\\x02', '\\x01'), ''],
    ['that is switched off', () => line('P'), 'echo 0 >/proc/sys/fs/binfmt_misc/one'],
    ['while binfmt_misc is off', () => line('P'), 'echo 0 >/proc/sys/fs/binfmt_misc/status'],
  ])('one %s is passed over', (_, registration, after) => {
    expect(start([registration(bench.at)], [bench.at('apps/m68k')], after)[0]).toBe('own');
  });

  test('of two that match, both must serve: which one the kernel takes cannot be told', () => {
    const second = line('').replace(':one:', ':two:');
    expect(start([line('P'), second], ['m68k'])[0]).toBe('own');
    expect(start([line('P'), second.replace(/$/, 'P')], ['m68k'])[0]).toBe('system');
  });

  test('UPORT_PREFER=emulated passes it over', () => {
    const after = 'export UPORT_PREFER=emulated';
    expect(start([line('P')], [bench.at('apps/m68k')], after)[0]).toBe('own');
  });

  test('one that loses argv[0] is better than nothing where there is no emulator', () => {
    expect(start([line('')], ['hppa'])).toEqual(['system', bench.at('apps/hppa')]);
  });
});
