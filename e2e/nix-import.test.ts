import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Plan } from '@uport/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { buildClosure, closureMissing, type DynamicClosure } from './support/nix-closure.ts';
import { NQUEENS } from './support/nqueens.ts';
import { openPodman } from './support/podman.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, notRoot } from './support/tools.ts';
import { errorCode, start, uport } from './support/uport.ts';

const missing = closureMissing('riscv64');

describe.skipIf(missing)(named('a Nix store path as the app', missing), () => {
  let folder: string;
  let closure: DynamicClosure;
  beforeAll(async () => {
    folder = await temporaryFolder();
    closure = await buildClosure(folder, 'riscv64');
  });
  afterAll(() => removeFolder(folder));

  const flags = (hosts = 'riscv64') => [
    ...['--compression-level', '1', '--host', hosts],
    ...offlineFlags(),
  ];
  const build = (outDir: string, ...args: readonly string[]) =>
    uport(['build', '--emit', 'oci', '-o', path.join(folder, outDir), ...flags(), ...args]);
  const planOf = async (outDir: string): Promise<string> =>
    readFile(path.join(folder, outDir, 'plan.json'), 'utf8');
  const built = async (outDir: string, ...args: readonly string[]): Promise<string> => {
    const finished = await build(outDir, ...args);
    expect(finished, finished.stderr).toMatchObject({ status: 0 });
    return planOf(outDir);
  };

  test('its payload is the closure that Nix tells, at its own paths', async () => {
    const plan: Plan = JSON.parse(await built('asked', path.join(closure.root, closure.wrapped)));
    expect(plan.app).toMatchObject({
      name: 'hello-wrapped',
      guest: 'riscv64',
      program: `${closure.wrapped}/bin/hello-wrapped`.slice(1),
      target: `${closure.hello}/bin/hello`.slice(1),
    });
    const libraries = (name: string) =>
      `${closure.requisites.find((each) => each.slice(44).startsWith(name))}/lib`.slice(1);
    const libc = libraries('glibc-');
    expect(plan.app.loader).toBe(`${libc}/ld-linux-riscv64-lp64d.so.1`);
    expect(plan.app.libraryFolders).toEqual([libraries('greet-'), libc]);
    const tops = plan.payload.entries.filter(({ path: each }) => each.split('/').length === 3);
    expect(tops.map(({ path: each }) => `/${each}`)).toEqual(closure.requisites);
  });

  test('a scan, a link, an export and binary caches give the same plan', async () => {
    const { nix, root, wrapped } = closure;
    const expected = await built('first', wrapped, '--nix-store', root);

    const bare = path.join(folder, 'bare');
    await mkdir(path.join(bare, 'nix'), { recursive: true });
    // Node's own copying does not take every name.
    execFileSync('cp', ['-a', path.join(root, 'nix/store'), path.join(bare, 'nix/store')]);
    expect(await built('scanned', path.join(bare, wrapped))).toBe(expected);

    await symlink(path.join(bare, wrapped), path.join(folder, 'result'));
    expect(await built('linked', path.join(folder, 'result'))).toBe(expected);

    const exported = path.join(folder, 'closure.export');
    const script = 'nix-store --export "$@" > "$0"';
    await nix('sh', ['-c', script, exported, ...closure.requisites]);
    expect(await built('exported', `nix-export:${exported}`)).toBe(expected);

    const key = path.join(folder, 'key');
    await nix('nix-store', ['--generate-binary-cache-key', 'test-1', key, `${key}.pub`]);
    const trusted = ['--nix-trusted-key', await readFile(`${key}.pub`, 'utf8')];
    for (const compression of ['xz', 'zstd']) {
      const cache = `file://${folder}/cache-${compression}`;
      const to = `${cache}?secret-key=${key}&compression=${compression}`;
      expect(await nix('nix', ['copy', '--to', to, wrapped])).toMatchObject({ status: 0 });
      const args = [wrapped, '--nix-store', cache];
      expect(await built(compression, ...args, ...trusted)).toBe(expected);
      if (compression === 'xz') continue;
      expect(errorCode(await build('untrusted', ...args))).toBe('UPORT_NIX_UNTRUSTED');
      expect(await built('plain', wrapped, '--nix-store', `${cache}?trusted=true`)).toBe(expected);
    }
  });

  test('what a cache lacks, or has damaged, is refused', async () => {
    const { nix, wrapped, requisites } = closure;
    const cache = path.join(folder, 'cache-damaged');
    await nix('nix', ['copy', '--to', `file://${cache}?compression=none`, wrapped]);
    const store = { UPORT_STORE_DIR: path.join(folder, 'empty') };
    const from = ['--nix-store', `file://${cache}?trusted=true`];
    const refused = async () =>
      uport(
        ['build', wrapped, ...from, '--emit', 'oci', '-o', path.join(folder, 'no'), ...flags()],
        { env: store },
      );

    const words = requisites.find((each) => each.endsWith('-words-1.0')) as string;
    const narinfo = path.join(cache, `${path.basename(words).slice(0, 32)}.narinfo`);
    const text = await readFile(narinfo, 'latin1');
    const nar = path.join(cache, /^URL: (.+)$/m.exec(text)?.[1] ?? '');
    const bytes = await readFile(nar);
    await writeFile(nar, bytes.toString('latin1').replace('words from', 'swords fro'), 'latin1');
    expect(errorCode(await refused())).toBe('UPORT_NIX_NAR_DAMAGED');
    await writeFile(nar, bytes);
    await writeFile(narinfo, text.replace(/^URL: .*$/m, 'URL: ../../../etc/passwd'));
    expect(errorCode(await refused())).toBe('UPORT_NIX_NAR_DAMAGED');
    await rename(narinfo, `${narinfo}.away`);
    const lacking = await refused();
    expect(errorCode(lacking)).toBe('UPORT_NIX_PATH_MISSING');
    expect(lacking.stderr).toContain(words);
  });

  describe('rewritten', () => {
    const PREFIX = '/opt/closure';
    const GREETED = /^hello from riscv64: words from the store\nargv0 \S+\na\nb c\n/;
    const rewrite = async (outDir: string, input: string, emit: string) => {
      const out = ['--emit', emit, '-o', path.join(folder, outDir), '--json'];
      const how = ['--store-references', 'rewrite', '--store-prefix', PREFIX];
      const finished = await uport([
        'build',
        path.join(closure.root, input),
        ...how,
        ...out,
        ...flags('x86_64,riscv64'),
      ]);
      expect(finished, finished.stderr).toMatchObject({ status: 0 });
      return JSON.parse(finished.stdout);
    };

    test('the closure lies elsewhere, and nothing in it names /nix/store', async () => {
      const { storeReferences } = await rewrite('moved', closure.wrapped, 'oci,universal');
      expect(storeReferences).toMatchObject({ prefix: PREFIX, links: 2, bare: 0, sealed: [] });
      const plan: Plan = JSON.parse(await planOf('moved'));
      expect(plan.app.target).toMatch(/^opt\/closure\/[0-9a-z]{30}-hello-2\.12\.1\/bin\/hello$/);
      expect(plan.payload.entries.some(({ path: each }) => /^nix\b/.test(each))).toBe(false);

      const cache = path.join(folder, 'cache');
      const env = { UPORT_CACHE_DIR: cache, HOME: folder };
      const ran = await start(path.join(folder, 'moved/hello-wrapped'), ['a', 'b c'], { env });
      expect(ran, ran.stderr).toMatchObject({ status: 3, stdout: expect.stringMatching(GREETED) });
      const unpacked = await readdir(cache, { recursive: true, withFileTypes: true });
      const files = unpacked.filter((each) => each.isFile());
      expect(files.length).toBeGreaterThan(5);
      for (const each of files) {
        const file = path.join(each.parentPath, each.name);
        if (file.includes('/root/')) expect(await readFile(file, 'latin1')).not.toContain('/nix/');
      }
    });

    const noPodman = missingTools('podman', 'runc') ?? notRoot('podman');
    test.skipIf(noPodman)(named('an image of it runs without /nix', noPodman), async () => {
      const podman = await openPodman();
      try {
        await rewrite('image', closure.odd, 'oci');
        const image = await podman.pull(path.join(folder, 'image/oci'));
        const ran = await podman.run(image, ['a', 'b c']);
        expect(ran).toMatchObject({ status: 3 });
        const lines = Buffer.from(ran.stdout).toString().split('\n');
        // Its program is a script, which its interpreter gets as the first argument.
        expect(lines[0]).toBe('hello from riscv64: words from the store');
        expect(lines[2]).toMatch(/^\/opt\/closure\/[0-9a-z]{30}-odd-1\.0\/bin\/odd$/);
        expect(lines.slice(3, 5)).toEqual(['a', 'b c']);
      } finally {
        await podman.remove();
      }
    });

    test('what stays is told, odd names and empty folders travel', async () => {
      const { storeReferences } = await rewrite('odd', closure.odd, 'oci');
      expect(storeReferences.sealed).toMatchObject([{ format: 'gzip', references: 0 }]);
      const plan: Plan = JSON.parse(await planOf('odd'));
      const below = plan.payload.entries.flatMap((entry) => {
        const [, name] = /-odd-1\.0\/share\/(.*)$/s.exec(entry.path) ?? [];
        return name === undefined ? [] : [[entry.type, name]];
      });
      expect(below).toEqual([
        ['file', 'data.gz'],
        ['directory', 'empty'],
        ['symlink', 'linked'],
        ['file', 'odd \xe9\n name'],
        ['symlink', 'words'],
      ]);
    });

    test('a configuration says the same, and flags come before it', async () => {
      const project = path.join(folder, 'project');
      await mkdir(project);
      const [nix, input] = [{ references: 'rewrite', storePrefix: '/opt/other' }, closure.wrapped];
      const store = path.relative(project, closure.root);
      const app = {
        input,
        hosts: ['riscv64'],
        emit: { oci: { level: 1 } },
        nix: { ...nix, store },
      };
      await writeFile(path.join(project, 'uport.config.json'), JSON.stringify(app));
      const configured = async (...args: readonly string[]) => {
        const finished = await uport(['build', '--json', ...args], { cwd: project });
        expect(finished, finished.stderr).toMatchObject({ status: 0 });
        return JSON.parse(finished.stdout).apps[0].artifacts;
      };
      const [{ digest }] = await configured('--store-prefix', PREFIX);
      const from = ['--nix-store', closure.root, '--store-references', 'rewrite'];
      const said = [...from, '--store-prefix', PREFIX, '--json'];
      const direct = await build('direct', input, ...said);
      expect(JSON.parse(direct.stdout).artifacts).toMatchObject([{ digest }]);
      expect((await configured())[0].digest).not.toBe(digest);
    });

    test('flags that mean nothing are refused', async () => {
      const prefix = ['--store-prefix', '/opt/x'];
      const useless = await build('no', closure.wrapped, ...prefix);
      expect(errorCode(useless)).toBe('UPORT_NIX_STORE_PREFIX');
      const rewritten = ['--store-references', 'rewrite'];
      const bad = await build('no', closure.wrapped, ...rewritten, '--store-prefix', 'opt');
      expect(errorCode(bad)).toBe('UPORT_NIX_STORE_PREFIX');
      const none = await build('no', NQUEENS, ...rewritten);
      expect(errorCode(none)).toBe('UPORT_NIX_STORE_PATH_INVALID');
    });
  });

  test('the program is found, or asked for', async () => {
    const { root, hello } = closure;
    const program = async (...args: readonly string[]) =>
      (JSON.parse(await built('program', ...args)) as Plan).app.program;
    expect(await program(path.join(root, hello))).toBe(`${hello}/bin/hello`.slice(1));
    expect(await program(path.join(root, hello), '--entrypoint', 'bin/hi')).toMatch(/bin\/hi$/);
    expect(await program(path.join(root, hello, 'bin/hi'))).toMatch(/bin\/hi$/);
    const data = closure.requisites.find((each) => each.endsWith('-words-1.0')) as string;
    expect(errorCode(await build('no', path.join(root, data)))).toBe('UPORT_ENTRYPOINT_MISSING');
    const none = await build('no', path.join(root, hello), '--entrypoint', 'bin/none');
    expect(errorCode(none)).toBe('UPORT_ENTRYPOINT_NOT_FOUND');
  });
});
