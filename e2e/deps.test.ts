// `uport deps` against the real loader, lddtree and libtree, on Debian's programs and on musl's.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  byLddtree,
  byLibtree,
  byLoader,
  byUport,
  equipRoot,
  type Found,
} from './support/deps-peers.ts';
import { DEPS_CPUS, type DepsCpu, depsRoot, dynamicPrograms } from './support/deps-roots.ts';
import { missingTools, named, notRoot } from './support/tools.ts';

const whole = process.env.UPORT_TEST_DEPS === '1';
/** Programs of one CPU that are compared, spread over all that its root has. */
const COUNT = whole ? 70 : 12;

const missing =
  notRoot('chroot') ??
  missingTools('chroot', 'libtree', 'lddtree', 'qemu-aarch64-static', 'aarch64-linux-gnu-gcc');

const shown = (found: Found) => (found ? [...found].sort() : 'gave up');

const name = whole
  ? 'programs of Debian'
  : `${COUNT} programs of arm64 (70 of each of five CPUs with UPORT_TEST_DEPS=1)`;

describe.skipIf(missing)(named('uport deps', missing), () => {
  describe.each(whole ? DEPS_CPUS : DEPS_CPUS.slice(0, 1))('$debian', (cpu) => {
    test(name, { timeout: 3_600_000 }, async () => {
      const root = await depsRoot(cpu, whole);
      equipRoot(root, cpu.qemu);
      const all = await dynamicPrograms(root);
      const step = all.length / COUNT;
      const programs = Array.from({ length: COUNT }, (_, i) => all[Math.floor(i * step)] as string);
      expect(new Set(programs).size).toBe(COUNT);
      const others = { lddtree: 0, libtree: 0 };
      const differences: string[] = [];
      const lddtree = byLddtree(root, programs);
      for (const program of programs) {
        const loader = shown(byLoader(root, program));
        expect([program, shown(await byUport(root, program))]).toEqual([program, loader]);
        for (const [peer, found] of [
          ['lddtree', lddtree.get(program)],
          ['libtree', byLibtree(root, program)],
        ] as const) {
          const answer = shown(found);
          if (JSON.stringify(answer) === JSON.stringify(loader)) others[peer]++;
          else differences.push(`${peer} ${program}: ${answer}, the loader: ${loader}`);
        }
      }
      expect(others.lddtree).toBe(programs.length);
      // It reads no big-endian files.
      if (cpu.debian !== 's390x') expect(others.libtree).toBe(programs.length);
      const counts = `${cpu.debian}: ${programs.length} programs as the loader; lddtree ${others.lddtree}, libtree ${others.libtree}`;
      console.info([counts, ...differences.slice(0, 20)].join('\n  '));
    });

    test('musl', { timeout: 600_000 }, async () => {
      const root = await depsRoot(cpu, whole);
      equipRoot(root, cpu.qemu);
      const loader = `/lib/ld-musl-${cpu.musl}.so.1`;
      for (const program of muslPrograms(root, cpu, loader)) {
        const own = shown(byLoader(root, program, loader));
        expect(own).not.toBe('gave up');
        expect([program, shown(await byUport(root, program))]).toEqual([program, own]);
      }
    });
  });
});

/**
 * Programs and libraries that musl's loader finds in every way it knows. They have no code that runs:
 * `--list` only maps them.
 */
function muslPrograms(
  root: string,
  { gnu, muslFolder }: DepsCpu,
  loader: string,
): readonly string[] {
  const folder = path.join(root, 'musl-test');
  rmSync(folder, { recursive: true, force: true });
  // Debian's musl looks there, by /etc/ld-musl-*.path.
  const configured = `usr/lib/${muslFolder}`;
  for (const each of [folder, `${folder}/lib`, `${folder}/deep`]) {
    mkdirSync(each, { recursive: true });
  }
  writeFileSync(`${folder}/empty.c`, 'void one(void) {}\n');
  writeFileSync(`${folder}/start.c`, 'void _start(void) { for (;;) {} }\n');
  const link = (out: string, source: string, ...flags: readonly string[]) =>
    execFileSync(`${gnu}-gcc`, [
      ...['-nostdlib', '-Wl,--no-as-needed', '-o', path.join(root, out), `${folder}/${source}`],
      ...flags,
    ]);
  const library = (out: string, ...flags: readonly string[]) =>
    link(out, 'empty.c', '-shared', '-fPIC', `-Wl,-soname,${path.basename(out)}`, ...flags);
  const program = (out: string, ...flags: readonly string[]) => {
    const own = ['-pie', '-fPIE', `-Wl,--dynamic-linker=${loader}`, '-Wl,--allow-shlib-undefined'];
    link(`musl-test/${out}`, 'start.c', ...own, ...flags);
    return `/musl-test/${out}`;
  };
  const at = (file: string) => path.join(root, file);
  // musl's library has no soname: what is linked by its path would be needed by that path.
  const libc = [`-L${at(configured)}`, '-l:libc.so'];
  library('musl-test/deep/libdeep.so');
  library('musl-test/lib/libbelow.so');
  // Its own RUNPATH leads to what it needs; musl lets the program's lead there too.
  library('musl-test/lib/libown.so', at('musl-test/deep/libdeep.so'), '-Wl,-rpath,$ORIGIN/../deep');
  library(`${configured}/libhere.so`, at('musl-test/lib/libbelow.so'));
  const below = at('musl-test/lib/libbelow.so');
  const own = at('musl-test/lib/libown.so');
  return [
    program('runpath', below, ...libc, '-Wl,-rpath,$ORIGIN/lib'),
    program('rpath', below, ...libc, '-Wl,-rpath,$ORIGIN/lib,--disable-new-dtags'),
    program('two-levels', own, ...libc, '-Wl,-rpath,$ORIGIN/lib'),
    program(
      'configured-folder',
      at(`${configured}/libhere.so`),
      ...libc,
      '-Wl,-rpath,/musl-test/lib',
      '-Wl,-rpath-link,/',
    ),
    program('only-libc', ...libc),
  ];
}
