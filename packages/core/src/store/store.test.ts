import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { clearStore, collectStore, listStore, Store } from './index.ts';
import { makerLives, temporaryName } from './temporary.ts';

const isRoot = process.geteuid?.() === 0;
const DAY = 24 * 60 * 60 * 1000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'uport-store-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

function digestOf(bytes: string | Uint8Array) {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

function openStore(): Promise<Store> {
  return Store.open(path.join(folder, 'store'));
}

/** Runs a script that has `Store` and `store`; TypeScript files are loaded as they are. */
function script(root: string, body: string): string[] {
  const module = new URL('./index.ts', import.meta.url).href;
  const source = `const { Store } = await import(${JSON.stringify(module)});
    const store = await Store.open(${JSON.stringify(root)});\n${body}`;
  return ['--no-warnings', '--input-type=module', '-e', source];
}

function ended(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve) => {
    child.on('exit', (status) => resolve(status));
  });
}

describe('blobs', () => {
  test('are found by what is in them', async () => {
    const store = await openStore();
    const put = await store.put(chunks('hello ', 'world'));
    expect(put).toEqual({ digest: digestOf('hello world'), size: 11 });
    expect(readFileSync(store.locate(put.digest) as string, 'latin1')).toBe('hello world');
    expect(Buffer.from((await store.read(put.digest, 11)) as Uint8Array).toString()).toBe(
      'hello world',
    );
    expect(await store.read(put.digest, 10)).toBeUndefined();
    expect(store.locate(digestOf('other'))).toBeUndefined();
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });

  test.each([
    [
      'other bytes than expected',
      chunks('a'),
      { expected: digestOf('b') },
      'UPORT_CHECKSUM_MISMATCH',
    ],
    ['too many bytes', chunks('abc', 'd'), { maxSize: 3 }, 'UPORT_STORE_TOO_LARGE'],
  ])('%s are refused and leave nothing', async (_what, bytes, options, code) => {
    const store = await openStore();
    await expect(store.put(bytes, options)).rejects.toMatchObject({ code });
    expect(readdirSync(path.join(store.root, 'blobs/sha256'))).toEqual([]);
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });

  test('a source that fails, and a wish to stop, leave nothing', async () => {
    const store = await openStore();
    const failing = (async function* () {
      yield Buffer.from('a');
      throw new Error('the source broke');
    })();
    await expect(store.put(failing)).rejects.toThrow('the source broke');
    const stop = new AbortController();
    const endless = (async function* () {
      for (let i = 0; ; i++) {
        if (i === 3) stop.abort(new Error('enough'));
        yield Buffer.from('a');
      }
    })();
    await expect(store.put(endless, { signal: stop.signal })).rejects.toThrow('enough');
    expect(readdirSync(path.join(store.root, 'blobs/sha256'))).toEqual([]);
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });

  test('several processes may write the same and other blobs and records at once', async () => {
    const root = path.join(folder, 'store');
    const children = [1, 2, 3, 4].map((id) =>
      spawn(
        process.execPath,
        script(
          root,
          `
        async function* bytes(seed) { for (let i = 0; i < 20; i++) yield Buffer.alloc(5000, seed + i); }
        for (let i = 0; i < 15; i++) {
          await store.put(bytes(i));
          await store.put(bytes(100 + ${id}));
          await store.record('test/shared', { from: ${id}, fill: 'x'.repeat(20000) });
          const read = await store.lookup('test/shared');
          if (read?.fill?.length !== 20000) throw new Error('a torn record');
        }`,
        ),
        { stdio: ['ignore', 'ignore', 'inherit'] },
      ),
    );
    expect(await Promise.all(children.map(ended))).toEqual([0, 0, 0, 0]);
    const names = readdirSync(path.join(root, 'blobs/sha256'));
    expect(names).toHaveLength(15 + 4);
    for (const name of names) {
      expect(digestOf(readFileSync(path.join(root, 'blobs/sha256', name)))).toBe(`sha256:${name}`);
    }
    expect(readdirSync(path.join(root, 'tmp'))).toEqual([]);
  });

  test('a killed process leaves no blob, and its leftover is collected only once it is dead', async () => {
    const store = await openStore();
    const child = spawn(
      process.execPath,
      script(
        store.root,
        `
      async function* endless() {
        yield Buffer.alloc(100000);
        process.stdout.write('writing');
        await new Promise((resolve) => setTimeout(resolve, 60000));
      }
      await store.put(endless());`,
      ),
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(await collectStore(store)).toMatchObject({ temporaries: 0 });
    expect(await clearStore(store)).toMatchObject({ temporaries: 0 });
    expect(readdirSync(path.join(store.root, 'tmp'))).toHaveLength(1);
    const exit = ended(child);
    child.kill('SIGKILL');
    await exit;
    expect(readdirSync(path.join(store.root, 'blobs/sha256'))).toEqual([]);
    const [leftover] = readdirSync(path.join(store.root, 'tmp')) as [string];
    expect(await collectStore(store)).toMatchObject({ temporaries: 1, bytes: 100000 });
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
    // Whoever opens the store next cleans up as well.
    writeFileSync(path.join(store.root, 'tmp', leftover), 'half');
    await Store.open(store.root);
    expect(readdirSync(path.join(store.root, 'tmp'))).toEqual([]);
  });
});

describe('the root', () => {
  test('is made for its owner alone, whatever the umask', async () => {
    const before = process.umask(0o000);
    try {
      const store = await openStore();
      const mode = (name: string) =>
        spawnSync('stat', ['-c', '%a', path.join(store.root, name)], {
          encoding: 'latin1',
        }).stdout.trim();
      expect(['.', 'tmp', 'blobs/sha256', 'records'].map(mode)).toEqual([
        '700',
        '700',
        '700',
        '700',
      ]);
    } finally {
      process.umask(before);
    }
  });

  test.each([0o770, 0o707, 0o1777])('is refused when others may write to it: %o', async (mode) => {
    const root = path.join(folder, 'store');
    mkdirSync(root);
    chmodSync(root, mode);
    await expect(Store.open(root)).rejects.toMatchObject({ code: 'UPORT_STORE_UNSAFE' });
    expect(readdirSync(root)).toEqual([]);
  });

  test.skipIf(!isRoot)(
    'is refused when it is somebody else’s (needs root: sudo npm test)',
    async () => {
      const root = path.join(folder, 'store');
      mkdirSync(root, { mode: 0o755 });
      chownSync(root, 65534, 65534);
      await expect(Store.open(root)).rejects.toMatchObject({ code: 'UPORT_STORE_UNSAFE' });
      const link = path.join(folder, 'link');
      symlinkSync(root, link);
      await expect(Store.open(link)).rejects.toMatchObject({ code: 'UPORT_STORE_UNSAFE' });
    },
  );

  test('that cannot be a folder is told', async () => {
    writeFileSync(path.join(folder, 'file'), '');
    await expect(Store.open(path.join(folder, 'file', 'store'))).rejects.toMatchObject({
      code: 'UPORT_STORE_UNWRITABLE',
      category: 'environment',
    });
    await expect(Store.open(path.join(folder, 'file'))).rejects.toMatchObject({
      code: expect.stringMatching(/^UPORT_STORE_/),
    });
  });

  // The module is read by somebody else than who cloned it.
  const readable =
    spawnSync('test', ['-r', fileURLToPath(import.meta.url)], { uid: 65534, gid: 65534 }).status ===
    0;
  test.skipIf(!isRoot || !readable)(
    'an ordinary user is told where writing is forbidden (needs root, and a clone that others can read: chmod o+rx)',
    () => {
      chmodSync(folder, 0o755);
      const module = fileURLToPath(new URL('./index.ts', import.meta.url));
      const run = spawnSync(
        process.execPath,
        [
          '--no-warnings',
          '--input-type=module',
          '-e',
          `
      const { Store } = await import(${JSON.stringify(module)});
      await Store.open(${JSON.stringify(path.join(folder, 'store'))}).catch((error) => console.log(error.code));`,
        ],
        { uid: 65534, gid: 65534, encoding: 'latin1', cwd: '/' },
      );
      expect(run.stdout.trim()).toBe('UPORT_STORE_UNWRITABLE');
    },
  );

  const disk = mkdtempSync(path.join(tmpdir(), 'uport-disk-'));
  const mounted =
    isRoot &&
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk]).status === 0;
  if (mounted) spawnSync('umount', [disk]);
  else rmSync(disk, { recursive: true });
  test.skipIf(!mounted)(
    'a full disk is told and leaves nothing (needs root and mount: sudo npm test)',
    async () => {
      spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk]);
      try {
        const store = await Store.open(disk);
        const large = chunks(randomBytes(900_000), randomBytes(900_000));
        await expect(store.put(large)).rejects.toMatchObject({ code: 'UPORT_STORE_FULL' });
        expect(readdirSync(path.join(disk, 'tmp'))).toEqual([]);
        expect(readdirSync(path.join(disk, 'blobs/sha256'))).toEqual([]);
        await store.put(chunks('there is room again'));
      } finally {
        spawnSync('umount', [disk]);
        rmSync(disk, { recursive: true, force: true });
      }
    },
  );
});

describe('records', () => {
  test('are read as they were written, and replaced', async () => {
    const store = await openStore();
    expect(await store.lookup('test/a')).toBeUndefined();
    await store.record('test/a', { list: [1, 'two', null] });
    await store.record('test/a b/c', false);
    expect(await store.lookup('test/a')).toEqual({ list: [1, 'two', null] });
    expect(await store.lookup('test/a b/c')).toBe(false);
    await store.record('test/a', 2);
    expect(await store.lookup('test/a')).toBe(2);
    await store.forget('test/a');
    expect(await store.lookup('test/a')).toBeUndefined();
  });

  test('a damaged one counts as none', async () => {
    const store = await openStore();
    await store.record('test/a', 1);
    const [name] = readdirSync(path.join(store.root, 'records/test')) as [string];
    writeFileSync(path.join(store.root, 'records/test', name), '{"key":"test/a","val');
    expect(await store.lookup('test/a')).toBeUndefined();
    writeFileSync(path.join(store.root, 'records/test', name), '{"key":"test/b","value":1}');
    expect(await store.lookup('test/a')).toBeUndefined();
  });

  test.each(['a', '/a', 'test/', '../x/a', 'Test/a', 'a.b/c'])(
    '%j cannot name one',
    async (key) => {
      const store = await openStore();
      await expect(store.record(key, 1)).rejects.toMatchObject({
        code: 'UPORT_STORE_RECORD_INVALID',
      });
    },
  );

  test('one without a value, or too large, is refused', async () => {
    const store = await openStore();
    for (const value of [undefined, 'x'.repeat(5 << 20)]) {
      await expect(store.record('test/a', value)).rejects.toMatchObject({
        code: 'UPORT_STORE_RECORD_INVALID',
      });
    }
  });
});

describe('maintenance', () => {
  function age(store: Store, name: string, days: number): void {
    const then = new Date(Date.now() - days * DAY);
    utimesSync(path.join(store.root, name), then, then);
  }

  test('lists blobs with their names', async () => {
    const store = await openStore();
    const a = await store.put(chunks('a'), { name: 'the letter' });
    const b = await store.put(chunks('bb'));
    const expected = [
      { digest: a.digest, size: 1, lastUsed: expect.any(Date), name: 'the letter' },
      { digest: b.digest, size: 2, lastUsed: expect.any(Date), name: undefined },
    ].sort((x, y) => (x.digest < y.digest ? -1 : 1));
    expect(await listStore(store)).toEqual(expected);
  });

  test('collects what nobody used, and spares what somebody asked for', async () => {
    const store = await openStore();
    const old = await store.put(chunks('old'), { name: 'old' });
    const used = await store.put(chunks('used'));
    const fresh = await store.put(chunks('fresh'));
    await store.record('test/old', 1);
    await store.record('test/fresh', 1);
    for (const { digest } of [old, used]) age(store, `blobs/sha256/${digest.slice(7)}`, 31);
    const record = `${createHash('sha256').update('test/old').digest('hex')}.json`;
    age(store, `records/test/${record}`, 31);
    expect(store.locate(used.digest)).toBe(store.pathOf(used.digest));
    expect(await collectStore(store)).toMatchObject({ blobs: 1, records: 1, temporaries: 0 });
    expect(store.locate(old.digest)).toBeUndefined();
    expect(await store.lookup('test/old')).toBeUndefined();
    expect(await store.lookup('test/fresh')).toBe(1);
    expect((await listStore(store)).map(({ digest }) => digest).sort()).toEqual(
      [used.digest, fresh.digest].sort(),
    );
    expect(await collectStore(store, { days: 0, now: new Date(Date.now() + 1000) })).toMatchObject({
      blobs: 2,
    });
  });

  test('a blob that was set aside is taken back by whoever asks for it', async () => {
    const store = await openStore();
    const { digest } = await store.put(chunks('aside'));
    const aside = path.join(store.root, 'condemned', digest.slice(7));
    spawnSync('mv', [store.pathOf(digest), aside]);
    expect(store.locate(digest)).toBe(store.pathOf(digest));
    expect(await collectStore(store)).toMatchObject({ blobs: 0 });
    expect(store.locate(digest)).toBeDefined();
    // One that was used before it was set aside comes back too.
    spawnSync('mv', [store.pathOf(digest), aside]);
    expect(await collectStore(store)).toMatchObject({ blobs: 0 });
    expect(store.locate(digest)).toBeDefined();
  });

  test('clears everything but what living processes write', async () => {
    const store = await openStore();
    await store.put(chunks('a'), { name: 'a' });
    await store.record('test/a', 1);
    writeFileSync(path.join(store.root, 'tmp', temporaryName()), 'mine');
    writeFileSync(path.join(store.root, 'tmp', 'unknown'), 'young');
    expect(await clearStore(store)).toMatchObject({ blobs: 1, records: 2, temporaries: 0 });
    expect(await listStore(store)).toEqual([]);
    expect(readdirSync(path.join(store.root, 'tmp'))).toHaveLength(2);
    age(store, 'tmp/unknown', 2);
    expect(await collectStore(store)).toMatchObject({ temporaries: 1 });
  });

  test('names tell living makers from dead ones', () => {
    const own = temporaryName();
    expect(makerLives(own)).toBe(true);
    const { pid } = spawnSync('true');
    expect(makerLives(own.replace(/-\d+-/, `-${pid}-`))).toBe(false);
    // The same process id, given to another process since.
    expect(makerLives(own.replace(/-\d+-\d+-/, `-${process.pid}-1-`))).toBe(false);
    expect(makerLives(own.replace(/^[0-9a-f]{12}/, '000000000000'))).toBeUndefined();
    expect(makerLives('rubbish')).toBeUndefined();
  });
});
