// Software of Debian for a foreign CPU, in an image that uport makes of its packages, under podman.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { aptMirrors, hostArch, parseArch } from '@uport/core';
import { emulatorFolder } from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeProfileWithoutNamespaces } from './real-software/seccomp.ts';
import {
  COMMON_PACKAGES,
  QUICK_PACKAGES,
  SOFTWARE_GUESTS,
  type SoftwareGuest,
  workloadsOf,
} from './real-software/workloads.ts';
import { openPodman, type Podman } from './support/podman.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, noPrivateBinfmt, notRoot } from './support/tools.ts';
import { uport } from './support/uport.ts';

const missing =
  missingTools('podman', 'runc') ??
  notRoot('podman') ??
  (existsSync('/usr/share/containers/seccomp.json')
    ? undefined
    : 'no seccomp profile: apt-get install golang-github-containers-common') ??
  (existsSync('/proc/sys/fs/binfmt_misc/status')
    ? 'binfmt_misc is mounted here: umount /proc/sys/fs/binfmt_misc'
    : undefined);

/** `all`, or CPUs with commas between. */
const ASKED = process.env.UPORT_TEST_SOFTWARE;
const WHOLE = (guest: SoftwareGuest) => ASKED === 'all' || ASKED?.split(',').includes(guest.arch);
const [MIRROR] = await aptMirrors('/etc/apt');

/** Each way that this kernel has; what is missing is told by the conformance suite's skips. */
const WAYS = (['userns', 'ptrace'] as const).filter(
  (way) => way !== 'userns' || noPrivateBinfmt() === undefined,
);

const SCRIPTS = path.join(import.meta.dirname, 'real-software/scripts');
const HOST = hostArch();

describe.skipIf(missing).each(SOFTWARE_GUESTS)(
  named("Debian's $arch packages under podman", missing),
  (guest) => {
    const whole = WHOLE(guest);
    const workloads = workloadsOf(guest).filter(({ quick }) => whole || quick);
    const skipped = !whole && guest !== SOFTWARE_GUESTS[0];
    let folder: string;
    let podman: Podman;
    let image: string;

    beforeAll(async () => {
      if (skipped) return;
      folder = await temporaryFolder();
      podman = await openPodman();
      const tar = path.join(folder, 'root.tar');
      const packages = whole ? [...COMMON_PACKAGES, ...guest.packages] : QUICK_PACKAGES;
      const what = ['--arch', guest.arch, '--suite', guest.suite, '--include', packages.join(',')];
      const mirror = MIRROR === undefined ? [] : ['--debian-mirror', MIRROR];
      const variant = whole ? [] : ['--variant', 'extract'];
      const seconds = 1500;
      const make = ['rootfs', 'create', ...what, ...variant, ...mirror, '-o', tar];
      expect(await uport(make, { seconds })).toMatchObject({ status: 0 });
      const found = await emulatorFolder(
        [parseArch(guest.arch).name],
        AbortSignal.timeout(600_000),
      );
      const build = ['build', '--rootfs', tar, '--entrypoint', '/bin/bash', '-o', folder];
      const fast = ['--compression', 'zstd', '--compression-level', '1', '--host', HOST.name];
      const built = await uport([...build, ...fast, '--emulators', `dir:${found}`], { seconds });
      expect(built).toMatchObject({ status: 0 });
      image = await podman.pull(path.join(folder, 'oci'));
      await writeProfileWithoutNamespaces(path.join(folder, 'profile.json'));
    }, 3_600_000);
    afterAll(async () => {
      await podman?.remove();
      if (folder) await removeFolder(folder);
    });

    const why = skipped
      ? `UPORT_TEST_SOFTWARE=${guest.arch}`
      : whole
        ? undefined
        : `the rest: UPORT_TEST_SOFTWARE=all`;
    const cases = workloads.flatMap((workload) => WAYS.map((way) => ({ ...workload, way })));

    test.skipIf(skipped).for(cases)(
      named('$name, by $way', why),
      { timeout: 960_000 },
      async ({ command, expected, way }) => {
        const flags = [
          ...['--user', '1000:1000', '--workdir', '/work'],
          ...['--tmpfs', '/work:mode=1777,exec', '--tmpfs', '/tmp:mode=1777,exec'],
          ...['--volume', `${SCRIPTS}:/scripts:ro`],
          ...['--env', 'HOME=/work', '--env', 'LC_ALL=C', '--env', 'UPORT_DEBUG=1'],
          ...(way === 'ptrace'
            ? ['--security-opt', `seccomp=${path.join(folder, 'profile.json')}`]
            : []),
        ];
        const line = `{ ${command}; } 2>&1`;
        const result = await podman.run(image, ['-c', line], { flags, seconds: 900 });
        expect(result.stderr.toString()).toContain(`children: ${way} is the way`);
        expect({ status: result.status, lines: result.stdout.toString().split('\n') }).toEqual({
          status: 0,
          lines: [...expected(guest), ''],
        });
      },
    );
  },
);
