import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type HostCommand,
  type HostFile,
  missingHost,
  missingToolchains,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busybox } from './support/busybox.ts';
import { offlineFlags } from './support/emitters.ts';
import { PLATFORMS } from './support/guests.ts';
import { LEGACY_OUTPUT, makeLegacyStack } from './support/legacy-stack.ts';
import { nixIn, nixMissing } from './support/nix.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { unpackImage } from './support/unpack-image.ts';
import { uport } from './support/uport.ts';

const missing = missingToolchains('i386') ?? missingTools('tar', 'unshare') ?? nixMissing;
const ARGS = ['a', 'b c'];
const KERNELS = SIMULATED_HOSTS.filter(({ machine }) => machine !== undefined);

const ALL = process.env.UPORT_LEGACY === 'all';

/** Another kernel takes half a minute: one always, the others when asked. */
function elsewhere(name: string): string | undefined {
  return name === 'aarch64' || ALL ? undefined : 'UPORT_LEGACY=all runs it';
}

/** Hosts that an artifact is always tried on; the files share their payload. */
const FEW: Readonly<Record<string, readonly string[]>> = {
  oci: ['riscv64', 's390x'],
  'vendor.fatelf': ['ppc64le'],
  nix: ['aarch64'],
};

describe.skipIf(missing)(named('a legacy stack of i386', missing), () => {
  let folder: string;
  const at = (...parts: readonly string[]) => path.join(folder, ...parts);

  beforeAll(async () => {
    folder = await temporaryFolder();
    const vendor = await makeLegacyStack(folder);
    await writeFile(at('expected'), LEGACY_OUTPUT);
    const flags = ['--entrypoint', 'start.sh', '--from-debian', 'bookworm'];
    const emit = ['--emit', 'oci,universal,fatelf,nix', '-o', at('dist')];
    const level = ['--compression-level', '1', ...offlineFlags()];
    const built = await uport(['build', vendor, ...flags, ...emit, ...level], { seconds: 300 });
    expect(built, built.stderr).toMatchObject({ status: 0 });
  }, 300_000);
  afterAll(() => removeFolder(folder));

  test.each(['oci', 'vendor', 'vendor.fatelf', 'nix'])(
    `%s runs on ${ALL ? 'every host' : 'hosts'} simulated by user-mode emulation`,
    async (artifact) => {
      const hosts = ALL ? undefined : FEW[artifact];
      const expected = ['--expect', at('expected'), '--expect-status', '3'];
      const flags = [...expected, ...offlineFlags(), ...(hosts ? ['--hosts', hosts.join()] : [])];
      const ran = await uport(['verify', at('dist', artifact), '--json', ...flags, '--', ...ARGS], {
        seconds: 300,
      });
      const seen = JSON.parse(ran.stdout) as {
        hosts: readonly { readonly host: string; readonly fault: string | null }[];
      };
      const order = Object.keys(PLATFORMS).filter((host) => hosts?.includes(host) ?? true);
      expect(seen.hosts.map(({ host, fault }) => [host, fault])).toEqual(
        order.map((host) => [host, null]),
      );
    },
    310_000,
  );

  /** The program of the Nix package. */
  async function unpackPackage(root: string): Promise<string> {
    const script = 'exec nix-store --restore "$1" < "$2"';
    const args = ['-c', script, 'sh', root, at('dist/nix/universal.nar')];
    expect(await nixIn(folder)('/bin/sh', args)).toMatchObject({ status: 0 });
    const names = await readdir(path.join(root, 'bin'));
    expect(names).toEqual(['vendor']);
    return path.join(root, 'bin/vendor');
  }

  describe.each(KERNELS)("on $name's kernel", ({ name, arch }) => {
    const skipped = missingHost(name) ?? elsewhere(name);
    test.skipIf(skipped)(
      named('the image and the files of every emitter run for an ordinary user', skipped),
      async () => {
        const root = at(`root-${name}`);
        const config = await unpackImage(at('dist/oci'), PLATFORMS[arch] as string, root);
        const single = at(`single-${name}`);
        // What a host's record and the trailing data make is a program of that host.
        const record = Object.keys(PLATFORMS).indexOf(arch);
        const extract = [single, at('dist/vendor.fatelf'), `record${record}`];
        expect(await uport(['fatelf', 'extract', ...extract])).toMatchObject({ status: 0 });
        const files: Record<string, HostFile> = {
          '/cache': { directory: true, mode: 0o700, owner: 1000 },
          '/app/universal': { copy: at('dist/vendor'), mode: 0o755 },
          '/app/fatelf': { copy: single, mode: 0o755 },
          '/app/nix': { copy: await unpackPackage(at(`nix-${name}`)), mode: 0o755 },
          '/image': root,
        };
        const tools = await busybox(arch, AbortSignal.timeout(300_000));
        const names = ['sh', 'dd', 'mkdir', 'chmod', 'id', 'rm', 'uname', 'dirname', 'readlink'];
        for (const tool of names) files[`/bin/${tool}`] = { copy: tools, mode: 0o755 };
        const env = ['UPORT_CACHE_DIR=/cache/uport', 'PATH=/bin'];
        const commands: readonly HostCommand[] = [
          ...['universal', 'fatelf', 'nix'].map((each) => {
            return { argv: [`/app/${each}`, ...ARGS], env, uid: 1000, seconds: 200 };
          }),
          {
            argv: [...(config.Entrypoint ?? []), ...ARGS],
            env: config.Env ?? [],
            root: '/image',
            uid: 1000,
            readOnly: true,
            pidNamespace: true,
            noNewPrivileges: true,
            dropCapabilities: true,
            seconds: 200,
          },
        ];
        const { results } = await runOnKernel(name, files, commands, { seconds: 900 });
        const seen = results.map(({ status, stdout, stderr }) => ({
          status,
          stdout: Buffer.from(stdout).toString(),
          stderr: Buffer.from(stderr).toString(),
        }));
        expect(seen).toEqual(seen.map(() => ({ status: 3, stdout: LEGACY_OUTPUT, stderr: '' })));
        expect(seen).toHaveLength(4);
      },
      1_000_000,
    );
  });
});
