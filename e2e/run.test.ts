import path from 'node:path';
import {
  cacheFolder,
  missingToolchains,
  NON_UTF8_ARGUMENTS,
  parseArguments,
  RUNNING_CASES,
} from '@uport/testkit';
import { describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { builtImage } from './support/images.ts';
import { type RunBytesOptions, runBytes } from './support/run-bytes.ts';
import { named, notRoot } from './support/tools.ts';
import { UPORT, uport } from './support/uport.ts';

// The command reads its arguments through Node, which takes them for UTF-8.
const CASES = RUNNING_CASES.filter(
  ({ args }) => !NON_UTF8_ARGUMENTS.some((each) => args.includes(each)),
);

function uportRun(args: readonly string[], options: RunBytesOptions = {}) {
  const env = { UPORT_STORE_DIR: cacheFolder('store'), ...options.env };
  return runBytes([process.execPath, UPORT, 'run', ...args], { ...options, env });
}

const lacking = missingToolchains('aarch64', 's390x', 'i386', 'x86_64');

describe.each(['aarch64', 's390x', 'i386', 'x86_64'])('uport run of a %s program', (guest) => {
  test.skipIf(lacking).for(CASES)(named('$name', lacking), async (each) => {
    const { program } = builtImage(guest);
    const options = each.stdin ? { stdin: each.stdin } : {};
    const result = await uportRun([...offlineFlags(), program, ...each.args], options);
    each.check(result, { guest, argv0: program });
  });

  test.skipIf(lacking)(named('under its emulator, --force-emulation or not', lacking), async () => {
    const { program } = builtImage(guest);
    const flags = [...offlineFlags(), '--force-emulation', '--debug'];
    const result = await uportRun([...flags, program, 'status', '3']);
    expect(result.status).toBe(3);
    expect(result.stderr.toString()).toContain(`qemu-${guest}`);
  });

  test.skipIf(lacking)(named('passes a Ctrl-C on', lacking), async () => {
    const { program } = builtImage(guest);
    // The program says its own process, which it became by exec.
    const finished = await uport(['run', ...offlineFlags(), program, 'signals'], {
      interruptOn: 'ready\n',
    });
    expect(finished.stdout).toBe('ready\nsignal 2\n');
    expect(finished.status).toBe(7);
  });
});

describe('uport run of an image', () => {
  const noRoot = lacking ?? notRoot('chroot');

  test.skipIf(noRoot).for(CASES)(named('$name', noRoot), async (each) => {
    const layout = path.join(builtImage('s390x').outDir, 'oci');
    const options = each.stdin ? { stdin: each.stdin } : {};
    const result = await uportRun([layout, ...each.args], options);
    each.check(result, { guest: 's390x', argv0: '/app/probe' });
  });
});

test.skipIf(lacking)(
  named('uport run --env reaches the program, and --host-arch another host', lacking),
  async () => {
    const { program } = builtImage('x86_64');
    const flags = [...offlineFlags(), '--host-arch', 'arm64', '--env', 'NAME=va lue'];
    const result = await uportRun([...flags, program, 'arguments', 'x']);
    const { argv, env } = parseArguments(result.stdout);
    expect(argv.slice(1)).toEqual(['arguments', 'x']);
    expect(env).toContain('NAME=va lue');
  },
);
