import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { buildElf, REPOSITORY, treeDigest } from '@uport/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { blobFile, type Index, readJson } from './support/layout.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named, notRoot } from './support/tools.ts';
import {
  errorCode,
  type Finished,
  type StartOptions,
  start,
  UPORT,
  uport,
} from './support/uport.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => removeFolder(folder));

function outcome(finished: Finished) {
  return { status: finished.status, error: errorCode(finished) };
}

function build(args: readonly string[], options?: StartOptions): Promise<Finished> {
  return uport(['build', '-o', path.join(folder, 'out'), ...args], options);
}

describe('what the user asks for can not be had', () => {
  test('no such file', async () => {
    const finished = await build([path.join(folder, 'nothing'), ...offlineFlags()]);
    expect(outcome(finished)).toEqual({ status: 3, error: 'UPORT_NOT_FOUND' });
    expect(await readdir(folder)).toEqual([]);
  });

  test('a folder without the named program', async () => {
    const app = path.join(folder, 'app');
    await mkdir(app);
    await writeFile(path.join(app, 'probe'), await readFile(NQUEENS));
    const finished = await build([app, '--entrypoint', 'bin/other', ...offlineFlags()]);
    expect(outcome(finished)).toEqual({ status: 3, error: 'UPORT_ENTRYPOINT_NOT_FOUND' });
    expect(await readdir(folder)).toEqual(['app']);
  });

  test('flags of an emitter that is not asked for', async () => {
    const given = [
      ['--emit', 'oci', '--per-host'],
      ['--emit', 'universal', '--tag', 'latest'],
      ['--emit', 'oci,fatelf', '--license', 'unfree'],
    ];
    for (const flags of given) {
      const finished = await build([NQUEENS, ...flags, ...offlineFlags()]);
      expect([flags, outcome(finished)]).toEqual([flags, { status: 2, error: 'UPORT_USAGE' }]);
      expect(finished.stderr).toContain(flags[2] as string);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  test('a CPU that nobody knows', async () => {
    const finished = await build([NQUEENS, '--host', 'z80']);
    expect(outcome(finished)).toEqual({ status: 2, error: 'UPORT_ARCH_UNKNOWN' });
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([
    ['oci', 'image-spec has no platform for a host of hppa'],
    ['nix', 'Nix has no name for hppa'],
    ['universal', 'there is no launcher for hppa'],
  ])('a host that %s has not', async (emit, reason) => {
    const finished = await build([NQUEENS, '--host', 'hppa', '--emit', emit, ...offlineFlags()]);
    expect(outcome(finished)).toEqual({ status: 3, error: 'UPORT_HOST_UNSUPPORTED' });
    expect(finished.stderr).toContain(reason);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(['nix', 'universal', 'fatelf'])('a name that no file of %s can have', async (emit) => {
    const flags = ['--host', 'riscv64', '--emit', emit];
    for (const wrong of [
      ['--name', 'a/b'],
      ['--bin', 'a/b=nqueens'],
    ]) {
      const finished = await build([NQUEENS, ...flags, ...wrong]);
      expect(outcome(finished)).toEqual({ status: 2, error: 'UPORT_NAME_INVALID' });
      expect(finished.stderr).toContain('"a/b"');
      expect(finished.stderr).toContain(wrong[0]);
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('no emulator for a host', async () => {
    const emulators = path.join(folder, 'emulators');
    await mkdir(emulators);
    const args = [NQUEENS, '--emulators', `dir:${emulators}`];
    const finished = await build(args);
    expect(outcome(finished)).toEqual({ status: 3, error: 'UPORT_HOST_UNSUPPORTED' });
    expect(finished.stderr).toContain('qemu-riscv64 for s390x');
    expect(await readdir(folder)).toEqual(['emulators']);
  });

  test('an emulator that is none', async () => {
    const emulators = path.join(folder, 'emulators');
    await mkdir(emulators);
    const wrong = path.join(emulators, 'qemu-riscv64');
    await writeFile(wrong, buildElf({ machine: 62, bits: 64, order: 'lsb' }));
    const args = [NQUEENS, '--host', 'amd64', '--emulators', `dir:${emulators}`];
    expect(outcome(await build(args))).toEqual({ status: 3, error: 'UPORT_EMULATOR_WRONG' });
    expect(await readdir(folder)).toEqual(['emulators']);
  });

  test('a wrong flag', async () => {
    expect(outcome(await build(['x', '--no-such-flag']))).toEqual({
      status: 2,
      error: 'UPORT_USAGE',
    });
  });

  test('errors are JSON with --json', async () => {
    const { status, stdout } = await build([path.join(folder, 'nothing'), '--json']);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'UPORT_NOT_FOUND', category: 'input', hint: expect.any(String) },
    });
  });
});

describe("a mirror of Debian's", () => {
  const asked: string[] = [];
  let server: Server;
  let mirror: string;

  beforeEach(async () => {
    asked.length = 0;
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end('Suite: unstable\nSHA256:\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const buildFrom = (url: string) =>
    build([NQUEENS, '--host', 'amd64', '--emulators', 'debian:sid'], {
      env: { UPORT_DEBIAN_MIRROR: url, UPORT_STORE_DIR: path.join(folder, 'store') },
    });

  test('that signs nothing is not believed', async () => {
    const finished = await buildFrom(mirror);
    expect(outcome(finished)).toEqual({ status: 5, error: 'UPORT_DEBIAN_UNSIGNED' });
    expect(asked).toContain('/debian/dists/sid/InRelease');
    expect(await readdir(folder)).toEqual(['store']);
  });

  test('that is dead is named', async () => {
    server.close();
    const finished = await buildFrom(mirror);
    expect(outcome(finished)).toEqual({ status: 5, error: 'UPORT_DEBIAN_UNREACHABLE' });
    expect(finished.stderr).toContain('127.0.0.1');
    expect(await readdir(folder)).toEqual(['store']);
  });
});

describe('a damaged image', () => {
  test('every fault is told at once, with status 6', async () => {
    const layout = path.join(folder, 'oci');
    const args = [NQUEENS, ...offlineFlags(), '-o', folder];
    expect(await uport(['build', ...args])).toMatchObject({ status: 0 });
    const top = (await readJson(path.join(layout, 'index.json'))) as Index;
    const index = (await readJson(blobFile(layout, top.manifests[0]?.digest ?? ''))) as Index;
    const [first, second] = index.manifests.map(({ digest }) => blobFile(layout, digest));
    const bytes = await readFile(first as string);
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    await writeFile(first as string, bytes);
    await writeFile(second as string, '');
    const finished = await uport(['validate', layout, '--json']);
    expect(finished.status).toBe(6);
    const places = index.manifests.map(({ digest }) => `blobs/${digest.replace(':', '/')}`);
    expect(places.map((place) => finished.stdout.includes(place))).toEqual([
      ...[true, true],
      ...places.slice(2).map(() => false),
    ]);
  });
});

describe('an output folder', () => {
  const program = () => [NQUEENS, ...offlineFlags()];

  test('that holds something else is left as it is', async () => {
    const other = path.join(folder, 'out', 'oci');
    await mkdir(other, { recursive: true });
    await writeFile(path.join(other, 'letter'), 'dear reader');
    expect(outcome(await build(program()))).toEqual({
      status: 4,
      error: 'UPORT_OUTPUT_IN_THE_WAY',
    });
    expect(await readdir(path.join(folder, 'out'), { recursive: true })).toEqual([
      'oci',
      'oci/letter',
    ]);
  });

  test('that is a file', async () => {
    await writeFile(path.join(folder, 'out'), 'dear reader');
    expect((await build(program())).status).not.toBe(0);
    expect(await readFile(path.join(folder, 'out'), 'utf8')).toBe('dear reader');
  });

  const noUser = notRoot('to become an ordinary user');
  test.skipIf(noUser)(named('that an ordinary user may not write', noUser), async () => {
    const out = path.join(folder, 'out');
    const store = path.join(folder, 'store');
    for (const place of [out, store]) await mkdir(place);
    await chmod(out, 0o755);
    await chmod(store, 0o700);
    await chown(store, 65534, 65534);
    // The tests' own folder may lie where others can't look: what they run is bound to a place of its own.
    const bound = path.join(folder, 'repository');
    await mkdir(bound);
    const script = `
      mount --bind "$1" "$2" && chmod 755 "$3" && cd / &&
      exec setpriv --reuid 65534 --regid 65534 --clear-groups "$2/node_modules/.bin/node" \\
        "$2/node_modules/.bin/uport" build "$2/examples/nqueens/nqueens" --host riscv64 -o "$4"`;
    const finished = await start(
      'unshare',
      ['--mount', 'sh', '-c', script, 'sh', REPOSITORY, bound, folder, out],
      { env: { UPORT_STORE_DIR: store, HOME: store } },
    );
    expect(outcome(finished)).toEqual({ status: 4, error: 'UPORT_PERMISSION_DENIED' });
    expect(await readdir(out)).toEqual([]);
  });

  const noMount = notRoot('to mount a small disk');
  const onDisk = (mount: string, then: string) =>
    `mount -t tmpfs ${mount} disk "$1" && { "$2" "$3" build "$4" -o "$5" --emulators "$6"; status=$?; ${then}; exit $status; }`;
  const buildOnDisk = (script: string, out: string, env: Record<string, string>) =>
    start(
      'unshare',
      ['--mount', 'sh', '-c', script, 'sh'].concat(
        [path.join(folder, 'disk'), process.execPath, UPORT, NQUEENS, out],
        [offlineFlags()[1] as string],
      ),
      { env },
    );

  test.skipIf(noMount)(named('on a full disk', noMount), async () => {
    const disk = path.join(folder, 'disk');
    await mkdir(disk);
    const finished = await buildOnDisk(
      onDisk('-o size=4m', 'find "$1" -mindepth 1'),
      path.join(disk, 'out'),
      { UPORT_STORE_DIR: path.join(folder, 'store') },
    );
    expect(outcome(finished)).toEqual({ status: 4, error: 'UPORT_DISK_FULL' });
    expect(finished.stdout).toBe('');
  });

  test.skipIf(noMount)(named('with the store on a full disk', noMount), async () => {
    const disk = path.join(folder, 'disk');
    await mkdir(disk);
    const finished = await buildOnDisk(
      onDisk('-o size=4m', 'find "$1" -type f -size +1M'),
      path.join(folder, 'out'),
      { UPORT_STORE_DIR: path.join(disk, 'store') },
    );
    expect(outcome(finished)).toEqual({ status: 4, error: 'UPORT_STORE_FULL' });
    expect(finished.stdout).toBe('');
    expect(await readdir(folder)).toEqual(['disk']);
  });

  test.skipIf(noMount)(named('on a read-only disk', noMount), async () => {
    const disk = path.join(folder, 'disk');
    await mkdir(disk);
    const finished = await buildOnDisk(onDisk('-o ro', 'true'), disk, {
      UPORT_STORE_DIR: path.join(folder, 'store'),
    });
    expect(outcome(finished)).toEqual({ status: 4, error: 'UPORT_READ_ONLY' });
  });
});

describe('Ctrl-C', () => {
  const MOMENTS = 16;

  test(`at ${MOMENTS} moments leaves nothing, or all of it`, async () => {
    const args = [NQUEENS, '--archive', ...offlineFlags()];
    const began = performance.now();
    expect(
      await build(args, { env: { UPORT_STORE_DIR: path.join(folder, 'warm') } }),
    ).toMatchObject({
      status: 0,
    });
    const whole = performance.now() - began;
    const out = path.join(folder, 'out');
    const digest = await treeDigest(out);
    const statuses = new Set<number>();
    for (let moment = 0; moment < MOMENTS; moment++) {
      const place = path.join(folder, `out-${moment}`);
      const store = path.join(folder, `store-${moment}`);
      const finished = await uport(['build', ...args, '-o', place], {
        env: { UPORT_STORE_DIR: store },
        interruptAfter: ((moment + 0.5) / MOMENTS) * whole,
      });
      statuses.add(finished.status);
      if (finished.status === 0) {
        expect(await treeDigest(place)).toBe(digest);
      } else {
        expect(finished.status).toBe(130);
        // Interrupted before it could say so, it said nothing.
        if (finished.stderr) expect(errorCode(finished)).toBe('UPORT_INTERRUPTED');
        expect(await readdir(folder)).not.toContain(`out-${moment}`);
        const left = await readdir(path.join(store, 'tmp')).catch(() => []);
        expect(left).toEqual([]);
      }
      await removeFolder(place);
      await removeFolder(store);
    }
    expect(statuses).toContain(130);
    // An image that was there before stays whole.
    const finished = await build(args, {
      env: { UPORT_STORE_DIR: path.join(folder, 'other') },
      interruptAfter: whole / 2,
    });
    expect([0, 130]).toContain(finished.status);
    expect(await treeDigest(out)).toBe(digest);
  });
});
