import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesSource, type Elf, type Linkage, readElf } from './index.ts';

interface Toolchain {
  readonly name: string;
  /** The folder of its C library. */
  readonly folder: string;
  readonly libraries: readonly string[];
  readonly staticPie: boolean;
}

/** Every compiler of Debian that is installed with its C library. */
function installedToolchains(): readonly Toolchain[] {
  const names = readdirSync('/usr/bin').flatMap(
    (file) => /^(.*-linux-gnu.*)-gcc$/.exec(file)?.[1] ?? [],
  );
  return names.sort().flatMap((name) => {
    const folder = [`/usr/${name}/lib`, `/usr/lib/${name}`].find((known) =>
      existsSync(path.join(known, 'crt1.o')),
    );
    if (!folder) return [];
    return {
      name,
      folder,
      libraries: readdirSync(folder).filter((file) => /^lib(c|m)\.so\.[\d.]+$/.test(file)),
      staticPie: existsSync(path.join(folder, 'rcrt1.o')),
    };
  });
}

const TOOLCHAINS = installedToolchains();
const READELF = '/usr/bin/readelf';
const ready = TOOLCHAINS.length > 0 && existsSync(READELF);

const KINDS: readonly { linkage: Linkage; flags: readonly string[]; pie?: true }[] = [
  { linkage: 'static', flags: ['-static'] },
  { linkage: 'static-pie', flags: ['-static-pie', '-fPIE'], pie: true },
  { linkage: 'dynamic', flags: ['-fPIE', '-pie', '-Wl,-rpath,$ORIGIN/../lib:/opt/x'] },
  { linkage: 'dynamic', flags: ['-no-pie', '-Wl,--disable-new-dtags,-rpath,/opt/x', '-lm'] },
  { linkage: 'shared-object', flags: ['-shared', '-fPIC', '-Wl,-soname,libthing.so.3'] },
  { linkage: 'relocatable', flags: ['-c'] },
];

const elfOf = (bytes: Uint8Array) => readElf(bytesSource(bytes));

/** What binutils says of the same file, in the same shape. */
function readelf(file: string) {
  const text = execFileSync(READELF, ['-hldnW', file], {
    encoding: 'latin1',
    env: { LC_ALL: 'C' },
    maxBuffer: 1 << 24,
  });
  const one = (pattern: RegExp) => pattern.exec(text)?.[1];
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] as string);
  const number = (pattern: RegExp) => Number(one(pattern) ?? Number.NaN);
  return {
    bits: Number(one(/Class:\s+ELF(\d+)/)),
    order: /little endian/.test(one(/Data:\s+(.*)/) ?? '') ? 'lsb' : 'msb',
    osabiVersion: number(/ABI Version:\s+(\d+)/),
    flags: number(/Flags:\s+(0x[0-9a-f]+)/),
    entry: BigInt(one(/Entry point address:\s+(0x[0-9a-f]+)/) as string),
    interpreter: one(/Requesting program interpreter: (.*)\]/),
    needed: all(/\(NEEDED\)\s+Shared library: \[(.*)\]/g),
    rpath: one(/\(RPATH\)\s+Library rpath: \[(.*)\]/),
    runpath: one(/\(RUNPATH\)\s+Library runpath: \[(.*)\]/),
    soname: one(/\(SONAME\)\s+Library soname: \[(.*)\]/),
    pie: /\(FLAGS_1\).*\bPIE\b/.test(text),
    buildId: one(/Build ID: ([0-9a-f]+)/),
    abiVersion: one(/OS: Linux, ABI: ([\d.]+)/),
    segments: [
      ...text.matchAll(
        /^ {2}\S+\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+) [RWE ]{3}/gm,
      ),
    ].map((match) => match.slice(1).map((field) => BigInt(`0x${field}`))),
  };
}

function shape(elf: Elf): ReturnType<typeof readelf> {
  const joined = (folders: readonly string[] | undefined) =>
    folders && folders.length > 0 ? folders.join(':') : undefined;
  return {
    bits: elf.identity.bits,
    order: elf.identity.order,
    osabiVersion: elf.identity.osabiVersion,
    flags: elf.identity.flags,
    entry: elf.identity.entry,
    interpreter: elf.interpreter,
    needed: [...(elf.dynamic?.needed ?? [])],
    rpath: joined(elf.dynamic?.rpath),
    runpath: joined(elf.dynamic?.runpath),
    soname: elf.dynamic?.soname,
    pie: elf.dynamic?.pie ?? false,
    buildId: elf.buildId,
    abiVersion: elf.abiTag?.version,
    segments: elf.segments.map(({ offset, vaddr, paddr, filesz, memsz }) => [
      offset,
      vaddr,
      paddr,
      filesz,
      memsz,
    ]),
  };
}

/** The file as it would be without section headers. */
function withoutSections(bytes: Uint8Array, { identity }: Elf): Uint8Array {
  const out = Uint8Array.from(bytes);
  const wide = identity.bits === 64;
  out.fill(0, wide ? 40 : 32, wide ? 48 : 36);
  out.fill(0, wide ? 58 : 46, wide ? 64 : 52);
  return out;
}

describe.skipIf(!ready)(
  'as binutils reads it (needs: apt-get install binutils gcc-aarch64-linux-gnu libc6-dev-arm64-cross)',
  () => {
    let folder = '';
    beforeAll(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'uport-elf-'));
      writeFileSync(path.join(folder, 'thing.c'), 'int main(void) { return 0; }\n');
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test('there are compilers', () => {
      expect(TOOLCHAINS.map(({ name }) => name)).not.toEqual([]);
    });

    describe.each(TOOLCHAINS)('$name', ({ name, folder: libraryFolder, libraries, staticPie }) => {
      test('its C libraries', async () => {
        expect(libraries.length).toBeGreaterThan(0);
        for (const library of libraries) {
          const file = path.join(libraryFolder, library);
          const elf = await elfOf(readFileSync(file));
          expect(shape(elf)).toEqual(readelf(file));
          expect(elf.linkage).toBe('shared-object');
        }
      });

      const kinds = KINDS.filter(({ pie }) => !pie || staticPie);
      test.each(kinds)('$linkage $flags', async ({ linkage, flags }) => {
        const file = path.join(folder, `${name}-${flags.join('')}`.replaceAll('/', '_'));
        execFileSync(`${name}-gcc`, ['-O0', '-o', file, 'thing.c', '-Wl,--build-id', ...flags], {
          cwd: folder,
          stdio: 'pipe',
        });
        const bytes = readFileSync(file);
        const elf = await elfOf(bytes);
        expect(shape(elf)).toEqual(readelf(file));
        expect(elf.linkage).toBe(linkage);
        if (linkage !== 'relocatable') {
          expect(await elfOf(withoutSections(bytes, elf))).toEqual(elf);
        }
      });
    });
  },
);
