import { execFileSync } from 'node:child_process';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GUESTS, type GuestFormat } from '@uport/elf/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  extractFile,
  glueFiles,
  infoFile,
  removeFile,
  replaceFile,
  splitFile,
  validateFile,
  verifyFile,
} from './files.ts';
import { glued, program } from './testing/bytes.ts';

const guest = (name: string) => GUESTS.find((known) => known.name === name) as GuestFormat;
const X86_64 = program(guest('x86_64'), 1);
const S390X = program(guest('s390x'), 2);
const TAIL = Uint8Array.from(Buffer.from('shared'));

let folder = '';
const at = (name: string) => path.join(folder, name);
const bytesAt = async (name: string) => Uint8Array.from(await readFile(at(name)));

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'uport-fatelf-'));
  await writeFile(at('x86_64'), X86_64);
  await writeFile(at('s390x'), S390X);
  await writeFile(at('tail'), TAIL);
  await glueFiles(at('fat'), [at('x86_64'), at('s390x')], { trailing: at('tail') });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('the eight tools on files', async () => {
  expect(await bytesAt('fat')).toEqual(await glued([X86_64, S390X], TAIL));
  expect((await stat(at('fat'))).mode & 0o100).toBe(0o100);
  expect(await validateFile(at('fat'))).toEqual([]);
  expect((await infoFile(at('fat'))).trailing.size).toBe(TAIL.length);
  expect(await verifyFile(at('fat'), 's390:be')).toBe(true);
  expect(await verifyFile(at('fat'), 'arm')).toBe(false);
  await extractFile(at('out'), at('fat'), 's390');
  expect(await bytesAt('out')).toEqual(Uint8Array.from([...S390X, ...TAIL]));
  expect(await splitFile(at('fat'), { trailing: false })).toEqual([
    at('fat-x86_64'),
    at('fat-s390'),
  ]);
  expect(await bytesAt('fat-s390')).toEqual(S390X);
  const next = program(guest('s390x'), 99);
  await writeFile(at('next'), next);
  await replaceFile(at('replaced'), at('fat'), at('next'));
  expect(await bytesAt('replaced')).toEqual(await glued([X86_64, next], TAIL));
  await removeFile(at('removed'), at('fat'), 'x86_64');
  expect(await bytesAt('removed')).toEqual(await glued([S390X], TAIL));
});

test('a file may be edited in place', async () => {
  await removeFile(at('fat'), at('fat'), 'x86_64');
  expect(await bytesAt('fat')).toEqual(await glued([S390X], TAIL));
});

test('a file that is there keeps its permissions, and stays behind its symbolic link', async () => {
  await chmod(at('fat'), 0o640);
  await symlink('fat', at('link'));
  await removeFile(at('link'), at('link'), 'x86_64');
  expect(await bytesAt('fat')).toEqual(await glued([S390X], TAIL));
  expect((await stat(at('fat'))).mode & 0o777).toBe(0o640);
  expect((await lstat(at('link'))).isSymbolicLink()).toBe(true);
});

test('a program may be replaced by the file that was made from it', async () => {
  await copyFile(at('fat'), at('copy'));
  await extractFile(at('s390x'), at('fat'), 's390', { trailing: false });
  await replaceFile(at('s390x'), at('fat'), at('s390x'));
  expect(await bytesAt('s390x')).toEqual(await bytesAt('copy'));
});

test('nothing is left behind when it goes wrong', async () => {
  await writeFile(at('bad'), 'no program');
  await writeFile(at('damaged'), (await bytesAt('fat')).subarray(0, 5000));
  await writeFile(at('out'), 'what was there before');
  await mkdir(at('folder'));
  execFileSync('mkfifo', [at('pipe')]);
  const before = (await readdir(folder)).sort();
  const aborted = { signal: AbortSignal.abort() };
  const failures: [() => Promise<unknown>, object][] = [
    [
      () => glueFiles(at('out'), [at('x86_64'), at('bad')]),
      { code: 'UPORT_ELF_NOT_ELF', file: at('bad') },
    ],
    [() => glueFiles(at('out'), [at('x86_64'), at('x86_64')]), { code: 'UPORT_FATELF_DUPLICATE' }],
    [
      () => glueFiles(at('out'), [at('folder')]),
      { code: 'UPORT_FATELF_NOT_FILE', file: at('folder') },
    ],
    [() => glueFiles(at('out'), [at('missing')]), { code: 'ENOENT', path: at('missing') }],
    [() => glueFiles(at('out'), [at('x86_64')], aborted), { name: 'AbortError' }],
    [() => glueFiles(at('no/out'), [at('x86_64')]), { code: 'ENOENT', path: at('no/out') }],
    [
      () => glueFiles(at('folder'), [at('x86_64')]),
      { code: 'UPORT_FATELF_NOT_FILE', file: at('folder') },
    ],
    [
      () => glueFiles(at('pipe'), [at('x86_64')]),
      { code: 'UPORT_FATELF_NOT_FILE', category: 'environment' },
    ],
    [() => splitFile(at('fat'), aborted), { name: 'AbortError' }],
    [() => splitFile(at('damaged')), { code: 'UPORT_FATELF_OUT_OF_BOUNDS', file: at('damaged') }],
    [
      () => extractFile(at('out'), at('fat'), 'arm'),
      { code: 'UPORT_FATELF_TARGET_MISSING', file: at('fat') },
    ],
    [() => replaceFile(at('out'), at('damaged'), at('x86_64')), { file: at('damaged') }],
    [
      () => replaceFile(at('out'), at('fat'), at('bad')),
      { code: 'UPORT_ELF_NOT_ELF', file: at('bad') },
    ],
    [() => removeFile(at('out'), at('fat'), 'nonsense'), { code: 'UPORT_FATELF_TARGET_UNKNOWN' }],
  ];
  for (const [failing, error] of failures) await expect(failing()).rejects.toMatchObject(error);
  expect((await readdir(folder)).sort()).toEqual(before);
  expect(await readFile(at('out'), 'utf8')).toBe('what was there before');
});

test('the validator names the file in each fault', async () => {
  await writeFile(at('damaged'), (await bytesAt('fat')).subarray(0, 5000));
  const faults = await validateFile(at('damaged'));
  expect(faults.map((fault) => fault.file)).toEqual(faults.map(() => at('damaged')));
  expect(faults.length).toBeGreaterThan(0);
});
