import path from 'node:path';
import {
  type HostCommand,
  type HostFile,
  missingHost,
  RUNNING_CASES,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { PLATFORMS } from './support/guests.ts';
import { builtImage } from './support/images.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { named } from './support/tools.ts';
import { unpackImage } from './support/unpack-image.ts';

// A start under a simulated CPU takes about a second: one foreign guest goes through all cases, the
// others through the first.
const ALL_CASES = (arch: string) => (arch === 'x86_64' ? 'aarch64' : 'x86_64');

/** Every guest where a host's kernel is known to differ in a way that matters, else one of each kind. */
function guestsOf(host: string): RegExp {
  if (host === 'ppc64le' || host === 'x86_64') return /./;
  // The old kernel is there for what the launcher asks of a kernel, not for the guests.
  if (host === 'aarch64-linux-6.1') return /^$/;
  return /^(?:arm|i386|m68k|s390x)$/;
}

describe.each(SIMULATED_HOSTS)("on $name's kernel", ({ name, arch }) => {
  const missing = missingHost(name);
  let folder: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => removeFolder(folder));

  test.skipIf(missing)(
    named(
      'every guest runs as an ordinary user, without capabilities, on a read-only root, as first process',
      missing,
    ),
    async () => {
      const files: Record<string, HostFile> = {};
      const runs: { guest: string; each: (typeof RUNNING_CASES)[number]; command: HostCommand }[] =
        [];
      const guests = inject('images').filter(
        ({ guest }) => guest === ALL_CASES(arch) || guest === arch || guestsOf(name).test(guest),
      );
      for (const { guest } of guests) {
        const root = path.join(folder, guest);
        const config = await unpackImage(
          path.join(builtImage(guest).outDir, 'oci'),
          PLATFORMS[arch] as string,
          root,
        );
        files[`/images/${guest}`] = root;
        for (const each of RUNNING_CASES) {
          if (guest !== ALL_CASES(arch) && each !== RUNNING_CASES[0]) continue;
          const command: HostCommand = {
            argv: [...(config.Entrypoint ?? []), ...each.args],
            env: [...(config.Env ?? []), ...(guest === arch ? [] : ['UPORT_DEBUG='])],
            root: `/images/${guest}`,
            uid: 1000,
            readOnly: true,
            pidNamespace: true,
            noNewPrivileges: true,
            dropCapabilities: true,
            withoutProc: each.name === 'exit status 3',
            ...(each.stdin && { stdin: each.stdin }),
          };
          runs.push({ guest, each, command });
        }
      }
      expect(runs.length).toBeGreaterThanOrEqual(RUNNING_CASES.length);
      const { results } = await runOnKernel(
        name,
        files,
        runs.map(({ command }) => command),
      );
      const faults = runs.flatMap(({ guest, each }, index) => {
        const result = results[index];
        try {
          if (!result) throw new Error('it did not run');
          each.check(result, { guest, argv0: '/app/probe' });
          return [];
        } catch (error) {
          return [`${guest}, ${each.name}: ${error}\n${result?.stderr}`];
        }
      });
      expect(faults).toEqual([]);
    },
    400_000,
  );
});
