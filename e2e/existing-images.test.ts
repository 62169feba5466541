import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busybox } from './support/busybox.ts';
import { type CountingRegistry, startCountingRegistry } from './support/counting-registry.ts';
import { offlineFlags } from './support/emitters.ts';
import { PLATFORMS } from './support/guests.ts';
import { blobFile, type Index, readImages, readJson } from './support/layout.ts';
import { CONTAINER_FLAGS, openPodman, type Podman } from './support/podman.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, notRoot } from './support/tools.ts';
import { errorCode, start, uport } from './support/uport.ts';
import { type VendorImage, vendorImage } from './support/vendor-image.ts';

/** UPORT_IMAGE_MEGABYTES=500 makes it as large as the images of old vendors. */
const MEGABYTES = Number(process.env.UPORT_IMAGE_MEGABYTES ?? 60);

// A registration would start the programs without uport.
const registered = existsSync('/proc/sys/fs/binfmt_misc/status')
  ? 'binfmt_misc is mounted here: umount /proc/sys/fs/binfmt_misc'
  : undefined;
const missing = missingTools('docker-registry', 'skopeo', 'umoci');
const noPodman = missing ?? missingTools('podman', 'runc') ?? notRoot('podman') ?? registered;
const { signal } = new AbortController();

describe.skipIf(missing)(named('an existing image', missing), () => {
  let folder: string;
  let registry: CountingRegistry;
  let amd64: VendorImage;
  let riscv64: VendorImage;

  const push = async (image: VendorImage, name: string) => {
    const pushed = await uport(['push', image.layout, `${registry.host}/${name}`, '--insecure']);
    expect(pushed).toMatchObject({ status: 0 });
  };
  const extend = (input: string, flags: readonly string[]) =>
    uport(['build', input, ...offlineFlags(), '--emit', 'oci', '--insecure', ...flags], {
      seconds: 300,
    });

  beforeAll(async () => {
    folder = await temporaryFolder();
    registry = await startCountingRegistry(path.join(folder, 'registry'));
    amd64 = vendorImage(path.join(folder, 'amd64'), {
      ...{ architecture: 'amd64', format: 'oci', megabytes: MEGABYTES },
      busybox: await busybox('x86_64', signal),
    });
    riscv64 = vendorImage(path.join(folder, 'riscv64'), {
      ...{ architecture: 'riscv64', format: 'docker' },
      busybox: await busybox('riscv64', signal),
      config: { Healthcheck: { Test: ['CMD-SHELL', 'test -x /bin/busybox'] }, User: 'app' },
    });
    await push(amd64, 'vendor/app:1.2');
    await push(riscv64, 'vendor/tool:1');
  }, 120_000);
  afterAll(async () => {
    await registry.stop();
    await removeFolder(folder);
  });

  test('gets five platforms in its registry; its layers do not move', async () => {
    const input = `docker://${registry.host}/vendor/app:1.2`;
    for (const target of ['vendor/app:1.2-multi', 'elsewhere/app:2']) {
      registry.moved();
      const built = await extend(input, ['--push', `docker://${registry.host}/${target}`]);
      expect(built).toMatchObject({ status: 0 });
      expect(registry.moved()).toBeLessThan(20e6);
    }
    const layout = path.join(folder, 'copied');
    const copied = await start('skopeo', [
      ...['copy', '--all', '--preserve-digests', '--quiet', '--src-tls-verify=false'],
      ...[`docker://${registry.host}/elsewhere/app:2`, `oci:${layout}:latest`],
    ]);
    expect(copied).toMatchObject({ status: 0 });
    expect(await uport(['validate', layout])).toMatchObject({ status: 0 });

    const top = (await readJson(path.join(layout, 'index.json'))) as Index;
    const index = (await readJson(blobFile(layout, top.manifests[0]?.digest ?? ''))) as Index;
    expect(index.manifests[0]).toMatchObject({
      digest: amd64.digest,
      platform: { os: 'linux', architecture: 'amd64' },
    });
    const images = await readImages(layout);
    const [own, ...added] = images;
    expect(images.map(({ platform }) => platform).sort()).toEqual(Object.values(PLATFORMS).sort());
    for (const { manifest, config } of added) {
      expect(manifest.layers.slice(0, -1)).toEqual(own?.manifest.layers);
      expect(config.config).toEqual({
        ...own?.config.config,
        Entrypoint: ['/.uport/launch', '--', 'start'],
      });
    }
    const [, architecture] = (added[0]?.platform ?? '').split('/');
    const one = path.join(folder, 'one');
    const taken = await start('skopeo', [
      ...['--override-arch', architecture as string, '--override-variant', 'v8'],
      ...['copy', '--quiet', `oci:${layout}:latest`, `oci:${one}:latest`],
    ]);
    expect(taken).toMatchObject({ status: 0 });
    const rootless = process.getuid?.() === 0 ? [] : ['--rootless'];
    const unpacked = await start('umoci', [
      ...['unpack', ...rootless, '--image', `${one}:latest`, path.join(folder, 'bundle')],
    ]);
    expect(unpacked).toMatchObject({ status: 0 });
    const root = path.join(folder, 'bundle', 'rootfs');
    expect(readFileSync(`${root}/bin/busybox`)).toEqual(
      readFileSync(await busybox('x86_64', signal)),
    );
    expect(existsSync(`${root}/.uport/qemu-x86_64`)).toBe(true);
  }, 300_000);

  test('that lacks nothing stays as it is, to the last byte', async () => {
    const built = await extend(`oci:${amd64.layout}`, ['--host', 'amd64', '-o', `${folder}/same`]);
    expect(built).toMatchObject({ status: 0 });
    const top = (await readJson(`${folder}/same/oci/index.json`)) as Index;
    expect(top.manifests[0]?.digest).toBe(amd64.digest);
  });

  test('comes from archives as from a registry', async () => {
    const archives = { 'docker-archive': `${folder}/a.tar`, 'oci-archive': `${folder}/b.tar` };
    for (const [kind, file] of Object.entries(archives)) {
      const saved = await start('skopeo', [
        ...['copy', '--quiet', '--src-tls-verify=false'],
        ...[`docker://${registry.host}/vendor/tool:1`, `${kind}:${file}:tool:1`],
      ]);
      expect(saved).toMatchObject({ status: 0 });
      const outDir = path.join(folder, kind);
      const flags = ['--host', 'amd64,riscv64', '-o', outDir];
      expect(await extend(`${kind}:${file}:tool:1`, flags)).toMatchObject({ status: 0 });
      expect(await uport(['validate', `${outDir}/oci`])).toMatchObject({ status: 0 });
      const images = await readImages(`${outDir}/oci`);
      expect(images.map(({ platform }) => platform)).toEqual(['linux/riscv64', 'linux/amd64']);
    }
  });

  test('refuses what it cannot take', async () => {
    const cases: [input: string, flags: string[], code: string][] = [
      [`oci:${amd64.layout}`, ['--env', 'A=b'], 'UPORT_USAGE'],
      [`oci:${amd64.layout}:none`, [], 'UPORT_IMAGE_NOT_FOUND'],
      [`oci:${amd64.layout}`, ['--from-platform', 'arm64'], 'UPORT_IMAGE_PLATFORM'],
      [`oci:${riscv64.layout}`, ['--shim', '/bin/none'], 'UPORT_SHIM_NOT_FOUND'],
      [`docker://${registry.host}/vendor/app:none`, [], 'UPORT_IMAGE_NOT_FOUND'],
      ['docker:app', [], 'UPORT_IMAGE_REFERENCE'],
    ];
    for (const [input, flags, expected] of cases) {
      const refused = await extend(input, ['-o', path.join(folder, 'refused'), ...flags]);
      expect([input, refused.status !== 0, errorCode(refused)]).toEqual([input, true, expected]);
    }
    expect(existsSync(path.join(folder, 'refused'))).toBe(false);
  });

  test('is the input of a universal file', async () => {
    const outDir = path.join(folder, 'universal');
    const flags = ['--emit', 'universal', '--host', 'amd64', '--entrypoint', '["cat","/etc/none"]'];
    const built = await uport([
      ...['build', `oci:${riscv64.layout}`, ...offlineFlags(), '--name', 'cat'],
      ...['-o', outDir, ...flags],
    ]);
    expect(built).toMatchObject({ status: 0 });
    const ran = await start(path.join(outDir, 'cat'), [], {
      env: { UPORT_CACHE_DIR: path.join(folder, 'cache') },
    });
    expect([ran.status, ran.stderr]).toEqual([
      1,
      "cat: can't open '/etc/none': No such file or directory\n",
    ]);
  });

  describe.skipIf(noPodman)(named('under podman', noPodman), () => {
    let podman: Podman;
    let image: string;
    const NAME = 'shimmed';

    beforeAll(async () => {
      podman = await openPodman();
      image = `${registry.host}/vendor/tool:multi`;
      const input = `docker://${registry.host}/vendor/tool:1`;
      const built = await extend(input, ['--shim', 'all', '--push', image]);
      expect(built).toMatchObject({ status: 0 });
      expect(await podman.call('pull', '-q', '--tls-verify=false', image)).toMatchObject({
        status: 0,
      });
      const shell = 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done';
      const started = await podman.call(
        ...['run', '--detach', '--pull=never', '--name', NAME, ...CONTAINER_FLAGS],
        ...['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
        ...['--entrypoint', '/bin/sh', image, '-c', shell],
      );
      expect(started).toMatchObject({ status: 0 });
    }, 300_000);
    afterAll(() => podman.remove());

    test('the manifest of another CPU runs as the vendor’s does', async () => {
      const ran = await podman.run(image, [], { flags: ['--pull=never'] });
      expect([ran.status, ran.stdout.toString()]).toEqual([3, 'b c: x\n']);
    });

    test('exec starts a shimmed program, by its name and with its arguments', async () => {
      const shell = 'echo "$0 $*"; id -u; exit 5';
      const ran = await podman.call('exec', NAME, 'sh', '-c', shell, 'zero', 'one', 'two words');
      expect([ran.status, ran.stdout]).toEqual([5, 'zero one two words\n1000\n']);
      const listed = await podman.call('exec', NAME, 'ls', '/app');
      expect(listed).toMatchObject({ status: 0, stdout: 'start\n' });
      const unknown = await podman.call('exec', NAME, 'busybox', 'nothing');
      expect(unknown.stderr).toContain('applet not found');
    });

    test('the image’s own health check finds it healthy', async () => {
      const checked = await podman.call('healthcheck', 'run', NAME);
      expect([checked.status, checked.stdout]).toEqual([0, '']);
      const state = await podman.call('inspect', '--format', '{{.State.Health.Status}}', NAME);
      expect(state.stdout.trim()).toBe('healthy');
    });

    test('the first process reaps orphans', async () => {
      const orphans = 'for i in 1 2 3 4 5; do (sleep 0.2 &) ; done';
      expect(await podman.call('exec', NAME, 'sh', '-c', orphans)).toMatchObject({ status: 0 });
      await sleep(1000);
      const states = await podman.call('exec', NAME, 'sh', '-c', 'cat /proc/[0-9]*/stat');
      expect(states.stdout).toContain('1 (');
      // The app reaps its own children when it comes to it.
      expect(states.stdout).not.toContain(') Z 1 ');
    });

    test('stop ends it as the program wants to end', async () => {
      expect(await podman.call('stop', '--time', '20', NAME)).toMatchObject({ status: 0 });
      const state = await podman.call('inspect', '--format', '{{.State.ExitCode}}', NAME);
      expect(state.stdout.trim()).toBe('9');
    });
  });
});
