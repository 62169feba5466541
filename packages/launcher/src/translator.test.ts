import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeManifest } from './manifest.ts';
import {
  type Bench,
  CPUS,
  elfHeader,
  fields,
  makeBench,
  run,
  THIS_HOST,
} from './testing/launch.ts';

const host = THIS_HOST ?? '';
if (!THIS_HOST) console.warn('translator.test.ts: skipped, there is no launcher for this machine');
// Its programs name a loader in the host's byte order.
const guest = host === 'loongarch64' ? CPUS.riscv64 : CPUS.loongarch64;
const LITTLE = host !== 's390x';

/** A program for a guest with PT_INTERP, enough for the launcher to choose. */
function dynamicProgram(interpreter: string): Buffer {
  const header = elfHeader(guest);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  const segment = Buffer.alloc(56);
  const path = Buffer.from(`${interpreter}\0`);
  segment.writeUInt32LE(3, 0);
  segment.writeBigUInt64LE(120n, 8);
  segment.writeBigUInt64LE(BigInt(path.length), 32);
  return Buffer.concat([header, segment, path]);
}

const GLIBC = '/lib64/ld-linux-x86-64.so.2';
const SHOW = 'printf "%s\\0" "$0" "$@"';
/** A loader that tells what it was started with; the trial goes well, and is counted. */
const LOADER = `#!/bin/sh
case "$7" in */box64/probe) echo tried >> "\${0%/*}/count"; exit 0 ;; esac
${SHOW}
printf '%s\\0' "arg0=$BOX64_ARG0" "path=$BOX64_LD_LIBRARY_PATH" "pre=$BOX64_LD_PRELOAD$LD_PRELOAD"
`;

describe.skipIf(!THIS_HOST || !LITTLE)('an emulator that is tried before QEMU', () => {
  let bench: Bench;
  let launch: string;
  let app: string;
  beforeEach(() => {
    bench = makeBench();
    bench.program('.uport/qemu', `#!/bin/sh\n${SHOW}\n`);
    launch = bench.launcher(host, []);
    write({});
    bench.program('.uport/box64/box64', '');
    copyFileSync(launch, bench.at('.uport/translate'));
    app = bench.program('app', dynamicProgram(GLIBC));
  });
  afterEach(() => bench.remove());

  function write(more: object) {
    const text = encodeManifest({
      emulators: [{ name: 'guest', elf: guest, path: 'qemu', args: [] }],
      translator: { guest: 'guest', name: 'box64', loader: 'ld.so' },
      ...more,
    });
    writeFileSync(bench.at('.uport/manifest'), text, 'latin1');
  }
  const loader = (content: string | Uint8Array) => bench.program('.uport/box64/ld.so', content);
  const start = (env: Record<string, string> = {}, ...words: string[]) =>
    run(launch, ['--argv0', 'me', app, ...words], { env });
  const inQemu = (...words: string[]) => [bench.at('.uport/qemu'), '-0', 'me', app, ...words];

  test('is given the program, with its own loader and libraries', () => {
    loader(LOADER);
    const { stdout, stderr, status } = start({ LD_PRELOAD: '', BOX64_LOG: '3' }, 'a b', '');
    expect([stderr, status]).toEqual(['', 0]);
    expect(fields(stdout)).toEqual([
      bench.at('.uport/box64/ld.so'),
      ...['--argv0', bench.at('.uport/translate'), '--inhibit-cache'],
      ...['--library-path', bench.at('.uport/box64'), bench.at('.uport/box64/box64')],
      ...[app, 'a b', ''],
      'arg0=me',
      expect.stringMatching(/^path=\/lib\/x86_64-linux-gnu:/),
      'pre=',
    ]);
  });

  test('starts further programs through the launcher, which tries nothing again', () => {
    loader(LOADER);
    const env = { BOX64_ARG0: 'other' };
    const { stdout } = run(bench.at('.uport/translate'), [app, 'x'], { env });
    expect(fields(stdout).slice(-6, -2)).toEqual([
      bench.at('.uport/box64/box64'),
      app,
      'x',
      'arg0=other',
    ]);
    expect(existsSync(bench.at('.uport/box64/count'))).toBe(false);
    const statically = bench.program('static', elfHeader(guest));
    const other = run(bench.at('.uport/translate'), [statically, 'x'], { env });
    expect(fields(other.stdout)).toEqual([bench.at('.uport/qemu'), '-0', 'other', statically, 'x']);
  });

  test.each([
    ['cannot be executed', 'it cannot be executed', undefined],
    ['is for another CPU', 'it cannot be executed', elfHeader(guest)],
    ['ends with an error', 'its trial ended with 7', '#!/bin/sh\nexit 7\n'],
    ['is killed', 'its trial was ended by signal 9', '#!/bin/sh\nkill -9 $$\n'],
  ])('that %s leaves the program to QEMU, and UPORT_DEBUG says why', (_, why, content) => {
    if (content !== undefined) loader(content);
    const plain = start({}, 'x');
    expect([plain.stderr, plain.status]).toEqual(['', 0]);
    expect(fields(plain.stdout)).toEqual(inQemu('x'));
    const { stderr } = start({ UPORT_DEBUG: '1' });
    expect(stderr).toContain(`: box64 is passed over for qemu-guest: ${why}\n`);
  });

  test.each([
    ['a static one', 'static programs', elfHeader(guest)],
    ['one of musl', 'programs of other C libraries', dynamicProgram('/lib/ld-musl-x86_64.so.1')],
  ])('does not get %s', (_, why, content) => {
    loader(LOADER);
    bench.program('app', content);
    expect(fields(start().stdout)).toEqual(inQemu());
    expect(start({ UPORT_DEBUG: '1' }).stderr).toContain(`for qemu-guest: ${why}`);
    expect(existsSync(bench.at('.uport/box64/count'))).toBe(false);
  });

  test('is left out with UPORT_PREFER=qemu', () => {
    loader(LOADER);
    expect(fields(start({ UPORT_PREFER: 'qemu' }).stdout)).toEqual(inQemu());
  });

  test('is tried once for each kernel where an unpacked app lies', () => {
    loader(LOADER);
    write({ unpacked: [{ path: 'qemu', size: 1 }] });
    const note = bench.at('.uport/translator');
    for (let n = 0; n < 3; n++) expect(fields(start().stdout)).toContain('arg0=me');
    expect(readFileSync(bench.at('.uport/box64/count'), 'utf8')).toBe('tried\n');
    expect(readFileSync(note, 'utf8')).toMatch(/^works with Linux \S+\n$/);
    writeFileSync(note, 'works with Linux 2.6.32\n');
    loader('#!/bin/sh\nexit 7\n');
    for (let n = 0; n < 2; n++) expect(fields(start().stdout)).toEqual(inQemu());
    expect(readFileSync(note, 'utf8')).toMatch(/^fails with Linux \S+: its trial ended with 7\n$/);
    writeFileSync(note, '');
    expect(fields(start().stdout)).toEqual(inQemu());
  });

  test('is tried in every start elsewhere, and leaves nothing behind', () => {
    loader(LOADER);
    start();
    start();
    expect(readFileSync(bench.at('.uport/box64/count'), 'utf8')).toBe('tried\ntried\n');
    expect(existsSync(bench.at('.uport/translator'))).toBe(false);
  });
});
