import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { type StartOptions, uport } from './support/uport.ts';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => removeFolder(folder));

/** Little compression: it is not what is tested. */
const SETTINGS =
  "  emulators: ['dir:./emulators'],\n  emit: { oci: { level: 1 }, universal: { level: 1 } },";

const at = (...parts: string[]) => path.join(folder, ...parts);

/** Emulators for two hosts as files of the project's own. */
async function project(name: string): Promise<string> {
  const place = at(name);
  await mkdir(path.join(place, 'emulators'), { recursive: true });
  await cp(NQUEENS, path.join(place, 'nqueens'));
  const emulators = inject('emulators').replace(/^dir:/, '');
  for (const host of ['x86_64', 'aarch64']) {
    await symlink(path.join(emulators, host), path.join(place, 'emulators', host));
  }
  return place;
}

interface Output {
  readonly apps: readonly {
    readonly name: string;
    readonly artifacts: readonly { readonly emitter: string; readonly digest: string }[];
  }[];
}

async function digests(cwd: string, args: readonly string[], options: StartOptions = {}) {
  const ran = await uport(['build', '--json', ...args], { cwd, ...options });
  expect(ran).toMatchObject({ status: 0 });
  const { apps } = JSON.parse(ran.stdout) as Output;
  return apps.flatMap(({ name, artifacts }) =>
    artifacts.map(({ emitter, digest }) => `${name} ${emitter} ${digest}`),
  );
}

test('init, build, a lock, another machine, drift', async () => {
  const here = await project('here');
  const init = ['init', '--input', 'nqueens', '--emit', 'oci,universal', '--host', 'amd64,arm64'];
  expect(await uport(init, { cwd: here })).toMatchObject({ status: 0 });
  expect(await uport(init, { cwd: here })).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('UPORT_CONFIG_EXISTS'),
  });
  const config = path.join(here, 'uport.config.ts');
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace(/ {2}emit: .*/, SETTINGS));
  expect(await uport(['build', '--frozen'], { cwd: here })).toMatchObject({
    stderr: expect.stringContaining('UPORT_LOCK_MISSING'),
  });
  const made = await digests(here, []);
  expect(made.map((line) => line.split(' ')[1])).toEqual(['oci', 'universal']);
  // Another machine: another folder, an empty store, no network.
  const there = await project('there');
  for (const name of ['uport.config.ts', 'uport.lock']) {
    await cp(path.join(here, name), path.join(there, name));
  }
  const env = { UPORT_STORE_DIR: at('store'), UPORT_DEBIAN_MIRROR: 'http://127.0.0.1:1' };
  expect(await digests(there, ['--frozen'], { env })).toEqual(made);

  // The folder's emulator becomes another one.
  const changed = path.join(there, 'emulators', 'aarch64');
  await removeFolder(changed);
  await mkdir(changed);
  const emulators = inject('emulators').replace(/^dir:/, '');
  const guest = (await readFile(path.join(here, 'uport.lock'), 'utf8')).match(/"(\S+) on aarch64/);
  const name = `qemu-${guest?.[1]}`;
  const bytes = await readFile(path.join(emulators, 'aarch64', name));
  await writeFile(path.join(changed, name), Buffer.concat([bytes, Buffer.from('\n')]), {
    mode: 0o755,
  });
  const drift = await uport(['build', '--frozen'], { cwd: there, env });
  expect(drift.status).toBe(6);
  expect(drift.stderr).toMatch(
    new RegExp(
      `UPORT_LOCK_DRIFT: .*the emulator of ${guest?.[1]} for aarch64: .*sha256:.* → .*sha256:`,
    ),
  );
  const updated = await uport(['update', name], { cwd: there, env });
  expect(updated).toMatchObject({ status: 0, stdout: expect.stringContaining('→') });
  expect(await digests(there, ['--frozen'], { env })).not.toEqual(made);
});

test('several apps, one of them, and flags in place of what the file says', async () => {
  const here = await project('here');
  await writeFile(
    path.join(here, 'uport.config.yaml'),
    [
      'apps:',
      '  one: {input: nqueens, hosts: [amd64], emulators: ["dir:./emulators"], emit: {universal: {level: 1}}}',
      '  two: {input: nqueens, hosts: [amd64], emulators: ["dir:./emulators"], emit: {universal: {level: 1}}}',
      '',
    ].join('\n'),
  );
  const both = await digests(here, []);
  expect(both.map((line) => line.split(' ')[0])).toEqual(['one', 'two']);
  const lock = await readFile(path.join(here, 'uport.lock'), 'utf8');
  expect(await digests(here, ['two', '--frozen', '--compression-level', '1'])).toEqual([both[1]]);
  const [image] = await digests(here, ['one', '--emit', 'oci', '--host', 'arm64']);
  expect(image).toMatch(/^one oci /);
  // The other app's entries are still there, and the new host's are added.
  const now = await readFile(path.join(here, 'uport.lock'), 'utf8');
  expect(now).toContain(' on x86_64 from');
  expect(lock).not.toContain(' on aarch64 from');
  expect(now).toContain(' on aarch64 from');
});
