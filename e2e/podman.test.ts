import { existsSync } from 'node:fs';
import {
  missingToolchains,
  NON_UTF8_ARGUMENTS,
  parseArguments,
  RUNNING_CASES,
} from '@uport/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUESTS } from './support/guests.ts';
import { builtImage } from './support/images.ts';
import { openPodman, type Podman } from './support/podman.ts';
import { missingTools, named, notRoot } from './support/tools.ts';

// A registration would start the programs without uport.
const registered = existsSync('/proc/sys/fs/binfmt_misc/status')
  ? 'binfmt_misc is mounted here: umount /proc/sys/fs/binfmt_misc'
  : undefined;
const missing = missingTools('podman', 'runc', 'busybox') ?? notRoot('podman') ?? registered;

/** As an ordinary user on a read-only root with all capabilities dropped. */
const CONFINED = [
  ...['--user', '1000:1000', '--read-only', '--read-only-tmpfs=false'],
  ...['--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
];

/** One guest of each way to start: these go through all cases, the others through the main ones. */
const ALL_CASES = ['aarch64', 'x86_64', 'i386'];
const MAIN_CASES = /^(?:output|arguments|exit status 3|death)/;

describe.skipIf(missing)(named('podman run', missing), () => {
  let podman: Podman;
  const images = new Map<string, Promise<string>>();
  const imageOf = (guest: string): Promise<string> => {
    const pulled = images.get(guest) ?? podman.pull(`${builtImage(guest).outDir}/oci`);
    images.set(guest, pulled);
    return pulled;
  };

  beforeAll(async () => {
    podman = await openPodman();
  });
  afterAll(() => podman.remove());

  describe.each(GUESTS)('a program of $guest', ({ toolchain, guest }) => {
    const cases = RUNNING_CASES.filter(
      ({ name, args }) =>
        // podman's own JSON can't carry bytes that are no UTF-8: a test below gets around it.
        !NON_UTF8_ARGUMENTS.some((each) => args.includes(each)) &&
        (ALL_CASES.includes(guest) || MAIN_CASES.test(name)),
    );
    const lacking = missingToolchains(toolchain);

    test.skipIf(lacking).for(cases)(named('confined: $name', lacking), async (each) => {
      const { args, stdin } = each;
      const options = { flags: CONFINED, ...(stdin && { stdin }) };
      const result = await podman.run(await imageOf(guest), args, options);
      each.check(result, { guest, argv0: '/app/probe' });
    });
  });

  describe.each(ALL_CASES)('%s', (guest) => {
    const lacking = missingToolchains(guest, 'x86_64');

    test.skipIf(lacking)(named('is as confined as it was asked to be', lacking), async () => {
      const args = ['confinement', '/', '/app', '/tmp', '/dev/shm', '/run'];
      const result = await podman.run(await imageOf(guest), args, { flags: CONFINED });
      expect(result.stdout.toString()).toBe(
        'uid=1000 gid=1000 capabilities=0000000000000000 no_new_privs=1 writable=/dev/shm,\n',
      );
    });

    test.skipIf(lacking)(named('sees the environment of a native program', lacking), async () => {
      const flags = ['--env', 'UPORT_DEBUG=', '--env', 'NAME=va lue'];
      const run = async (image: string) =>
        parseArguments((await podman.run(image, ['arguments'], { flags })).stdout).env.toSorted();
      const native = await run(await imageOf('x86_64'));
      expect(native).toEqual(expect.arrayContaining(['NAME=va lue', 'HOSTNAME=box']));
      expect(await run(await imageOf(guest))).toEqual(
        native.filter((each) => guest === 'x86_64' || !each.startsWith('UPORT_')),
      );
    });

    test.skipIf(lacking || guest === 'x86_64')(
      named(
        'gets arguments that are no UTF-8',
        lacking ?? (guest === 'x86_64' ? 'it has no launcher' : undefined),
      ),
      async () => {
        const words = ['arguments', ...NON_UTF8_ARGUMENTS].map(
          (word) =>
            `"$(printf '${Buffer.from(word, 'latin1').reduce((all, byte) => `${all}\\${byte.toString(8).padStart(3, '0')}`, '')}')"`,
        );
        const script = `exec /.uport/launch -- /app/probe ${words.join(' ')}`;
        const flags = [
          '--volume',
          '/bin/busybox:/busybox:ro',
          '--entrypoint',
          '/busybox',
          ...CONFINED,
        ];
        const result = await podman.run(await imageOf(guest), ['sh', '-c', script], { flags });
        expect(parseArguments(result.stdout).argv).toEqual([
          '/app/probe',
          'arguments',
          ...NON_UTF8_ARGUMENTS,
        ]);
      },
    );

    test.skipIf(lacking)(named('as the first process passes a signal on', lacking), async () => {
      const container = `signalled-${guest}`;
      let sent: Promise<void> | undefined;
      const result = await podman.run(await imageOf(guest), ['signals'], {
        flags: ['--name', container],
        onOutput() {
          sent ??= podman.signal(container, 'TERM');
        },
      });
      await sent;
      expect(result.stdout.toString()).toBe('ready\nsignal 15\n');
      expect(result.status).toBe(7);
    });
  });
});
