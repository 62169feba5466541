// What an app starts itself, in each of the ways that the launcher has, on every host's own kernel.
import path from 'node:path';
import { parseArch } from '@uport/core';
import {
  emulatorFolder,
  fixture,
  type HostCommand,
  type HostFile,
  missingHost,
  missingMusl,
  missingToolchains,
  OLDER_KERNELS,
  parseArguments,
  REPOSITORY,
  runOnKernel,
  SIMULATED_HOSTS,
} from '@uport/testkit';
import { describe, expect, test } from 'vitest';
import { binfmtModule } from './support/binfmt-module.ts';
import { busybox } from './support/busybox.ts';
import { named } from './support/tools.ts';

/** For what the two C libraries and QEMU 7.2 to 11 do alike. */
const HOWS = [
  ...['execve', 'fork', 'vfork', 'spawn', 'thread', 'execveat', 'fexecve', 'failing', 'env-i'],
] as const;
/** A start on a simulated machine takes a second: these, unless UPORT_TEST_EXEC=all. */
const SAMPLE = [
  'guest thread guest',
  'host vfork guest',
  'guest, host, third, guest',
  'a script of a script',
];
const ALL = process.env.UPORT_TEST_EXEC === 'all';

/** What the kernel's binfmt_misc does not do: its interpreter could not open the program. */
const ONLY_PTRACE = ['cloexec', 'memfd'] as const;

function manifestLine(guest: string): string {
  const { machine, bits, order } = parseArch(guest).elf;
  return `emulator ${guest} ${machine} ${bits} ${order} 0 0 qemu-${guest}\n`;
}

describe.each([...SIMULATED_HOSTS, ...OLDER_KERNELS])(
  "on $name's kernel",
  ({ name, arch, machine }) => {
    const guest = arch === 'x86_64' ? 'riscv64' : 'x86_64';
    const third = arch === 's390x' ? 'aarch64' : 's390x';
    const missing = missingHost(name) ?? missingToolchains(arch, guest, third);

    test.skipIf(missing)(
      named('guests, host programs and scripts start each other', missing),
      async () => {
        const signal = AbortSignal.timeout(200_000);
        const emulators = await emulatorFolder([guest, third], signal);
        const launcher = path.join(REPOSITORY, 'packages/launcher/prebuilt', arch, 'launch');
        const files: Record<string, HostFile> = {
          '/box/bin/busybox': { copy: await busybox(arch, signal), mode: 0o755 },
          '/box/.uport/launch': { copy: launcher, mode: 0o755 },
          '/box/.uport/manifest': {
            content: Buffer.from(`uport-manifest 1\n${manifestLine(guest)}${manifestLine(third)}`),
          },
          '/box/tmp': { directory: true, mode: 0o1777 },
        };
        for (const each of [guest, third]) {
          files[`/box/.uport/qemu-${each}`] = {
            copy: path.join(emulators, arch, `qemu-${each}`),
            mode: 0o755,
          };
        }
        for (const [role, cpu] of Object.entries({ guest, third, host: arch })) {
          // Where emulation is emulated, a start of glibc takes seconds: musl's does the same in less.
          const quick = machine !== undefined && cpu !== arch && !missingMusl(cpu);
          for (const program of ['starter', 'arguments'] as const) {
            const copy = await fixture(program, cpu, { library: quick ? 'musl' : 'glibc' });
            files[`/box/${role}/${program}`] = { copy, mode: 0o755 };
          }
        }
        const script = (line: string) => ({ content: Buffer.from(line), mode: 0o755 });
        files['/box/scripts/one'] = script('#!/guest/arguments -x y\n');
        files['/box/scripts/two'] = script('#!scripts/one z\n');
        files['/box/scripts/crlf'] = script('#!/guest/arguments\r\n');
        const ownModule = machine !== undefined && !name.includes('6.1');
        if (ownModule) {
          files['/box/lib/binfmt_misc.ko'] = { content: await binfmtModule(name, signal) };
        }
        // This machine's kernel has binfmt_misc or it has not: the launcher's own tests see to that.
        const ways = ownModule ? ['ptrace', 'userns'] : ['ptrace'];

        interface Case {
          readonly name: string;
          readonly command: HostCommand;
          readonly argv: readonly string[];
          readonly env?: readonly string[];
        }
        const cases: Case[] = [];
        const add = (
          way: string,
          what: string,
          args: readonly string[],
          argv: readonly string[],
          env = ['A=1'],
        ) => {
          if (machine !== undefined && !ALL && !SAMPLE.includes(what)) return;
          cases.push({
            name: `${way}: ${what}`,
            argv,
            env,
            command: {
              argv: ['/.uport/launch', '--', ...args],
              env: [`UPORT_EXEC=${way}`, 'A=1'],
              root: '/box',
              uid: 1000,
            },
          });
        };
        for (const way of ways) {
          const hows = way === 'ptrace' ? [...HOWS, ...ONLY_PTRACE] : HOWS;
          for (const how of hows) {
            const words = ['zero', 'a b', ''];
            add(
              way,
              `guest ${how} guest`,
              ['/guest/starter', how, '/guest/arguments', ...words],
              words,
              how === 'env-i' ? [] : undefined,
            );
          }
          for (const how of ['fork', 'vfork', 'spawn', 'thread', 'execveat', 'failing']) {
            add(
              way,
              `host ${how} guest`,
              ['/host/starter', how, '/guest/arguments', 'n', 'x'],
              ['n', 'x'],
            );
          }
          add(
            way,
            'guest, host, third, guest',
            [
              ...['/guest/starter', 'fork', '/host/starter', 's', 'vfork', '/third/starter', 's'],
              ...['spawn', '/guest/arguments', 'last', 'x'],
            ],
            ['last', 'x'],
          );
          add(
            way,
            'a script of a script',
            ['/guest/starter', 'fork', '/scripts/two', 's', 'w'],
            [...['/guest/arguments', '-x y', 'scripts/one', 'z', '/scripts/two', 'w']],
          );
          add(
            way,
            'the same from the host',
            ['/bin/busybox', 'sh', '-c', '/scripts/two w; exit $?'],
            [...['/guest/arguments', '-x y', 'scripts/one', 'z', '/scripts/two', 'w']],
          );
          const x = 'x'.repeat(131071);
          add(
            way,
            '128 KiB arguments',
            ['/guest/starter', 'long', '/guest/arguments', 'n'],
            ['n', x, x],
          );
          add(
            way,
            '20,000 arguments',
            ['/guest/starter', 'many', '/guest/arguments', 'n'],
            ['n', ...new Array(20000).fill('y')],
          );
        }
        const prepare = ownModule
          ? [{ argv: ['/bin/busybox', 'insmod', '/lib/binfmt_misc.ko'], root: '/box' }]
          : [];
        // Supervisor and programs run at the same time.
        const { results } = await runOnKernel(
          name,
          files,
          [...prepare, ...cases.map(({ command }) => command)],
          { processors: 2 },
        );
        const faults = cases.flatMap((each, index) => {
          const result = results[prepare.length + index];
          let seen: ReturnType<typeof parseArguments> = { argv: [], env: [] };
          try {
            seen = parseArguments(result?.stdout ?? Buffer.of());
          } catch (error) {
            return [`${each.name}: ${result?.status} ${error} ${result?.stderr}`];
          }
          // A shell on the way sets these itself.
          const env = seen.env.filter((one) => !/^(?:_|PATH|PWD|SHLVL|OLDPWD)=/.test(one));
          const same =
            result?.status === 0 &&
            JSON.stringify(seen.argv) === JSON.stringify(each.argv) &&
            JSON.stringify(env) === JSON.stringify(each.env);
          return same
            ? []
            : [
                `${each.name}: ${result?.status} ${JSON.stringify(seen).slice(0, 300)} ${result?.stderr}`,
              ];
        });
        expect(faults).toEqual([]);
      },
      300_000,
    );
  },
);
