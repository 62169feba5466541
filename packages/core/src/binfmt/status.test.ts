import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseArch } from '../model/arch.ts';
import { checkForeign, foreignSubjects } from './guests.ts';
import { entriesFor, parseEntry, readBinfmtStatus, servedSubjects } from './status.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-binfmt-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As the kernel prints them. */
const QEMU_ARM = `enabled
interpreter /usr/bin/qemu-arm-static
flags: OCF
offset 0
magic 7f454c4601010100000000000000000002002800
mask ffffffffffffff00fffffffffffffffffeffffff
`;
const JAR = 'disabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n';

test('registrations of others are read and matched by their bytes', async () => {
  await writeFile(path.join(folder, 'register'), '');
  await writeFile(path.join(folder, 'status'), 'enabled\n');
  await writeFile(path.join(folder, 'qemu-arm'), QEMU_ARM);
  await writeFile(path.join(folder, 'jar'), JAR);
  const status = await readBinfmtStatus(folder);
  expect(status).toMatchObject({ mounted: true, enabled: true });
  expect(status.entries.map(({ name, enabled, flags }) => [name, enabled, flags])).toEqual([
    ['jar', false, ''],
    ['qemu-arm', true, 'OCF'],
  ]);
  expect(entriesFor(status, parseArch('arm')).map(({ name }) => name)).toEqual(['qemu-arm']);
  expect(servedSubjects(status).map(({ subject }) => subject)).toEqual([parseArch('arm')]);
});

test('not mounted: an empty folder, or none', async () => {
  const none = { mounted: false, enabled: false, entries: [] };
  expect(await readBinfmtStatus(folder)).toEqual(none);
  expect(await readBinfmtStatus(path.join(folder, 'absent'))).toEqual(none);
});

test('what is no registration is told by its name', async () => {
  await mkdir(path.join(folder, 'x'));
  expect(() => parseEntry('odd', 'enabled\n')).toThrow(/odd names no interpreter/);
});

test("a host's own CPU and those its kernel runs are not registered by default", () => {
  const names = (host: string) =>
    foreignSubjects(parseArch(host)).map((one) => (one === 'fatelf' ? one : one.name));
  expect(names('amd64')).not.toContain('x86_64');
  expect(names('amd64')).not.toContain('i386');
  expect(names('amd64')).toContain('arm');
  expect(names('arm64')).not.toContain('arm');
  expect(names('arm64')).toContain('i386');
  expect(names('arm64').at(-1)).toBe('fatelf');
  expect(() => checkForeign([parseArch('s390x')], parseArch('s390x'))).toThrow(/own CPU/);
  expect(() => checkForeign([parseArch('i386'), 'fatelf'], parseArch('amd64'))).not.toThrow();
});
