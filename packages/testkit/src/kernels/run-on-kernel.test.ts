import { describe, expect, test } from 'vitest';
import { fixture, missingToolchains, parseArguments } from '../fixtures/index.ts';
import { missingHost, runOnKernel, SIMULATED_HOSTS } from './index.ts';

const AWKWARD = ['', 'a b', 'line\nfeed\r', '\xff\xfe', '--', "'"];

describe.each(SIMULATED_HOSTS)('$name', ({ name, arch }) => {
  const missing = missingHost(name) ?? missingToolchains(arch);

  test.skipIf(missing)(
    `runs commands on its own kernel, byte for byte${missing ? ` (${missing})` : ''}`,
    async () => {
      const program = (each: Parameters<typeof fixture>[0]) => fixture(each, arch);
      const everyByte = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256);
      const report = await runOnKernel(
        name,
        {
          '/bin/arguments': await program('arguments'),
          '/bin/copy-input': await program('copy-input'),
          '/bin/exit-status': await program('exit-status'),
          '/bin/segfault': await program('segfault'),
          '/bin/machine': await program('machine'),
          '/bin/signals': await program('signals'),
          '/box/confinement': await program('confinement'),
          '/box/segfault': await program('segfault'),
          '/box/open': { directory: true, mode: 0o777 },
        },
        [
          { argv: ['/bin/machine'] },
          { argv: ['/bin/arguments', ...AWKWARD], env: ['A=1', 'B=\xff\n'] },
          { argv: ['/bin/exit-status', '3'] },
          { argv: ['/bin/segfault'] },
          { argv: ['/bin/copy-input'], stdin: everyByte },
          { argv: ['/bin/signals'], seconds: 1 },
          { argv: ['/nowhere'] },
          { argv: ['/confinement', '/', '/open'], root: '/box' },
          {
            argv: ['/confinement', '/', '/open', '/dev'],
            root: '/box',
            uid: 1000,
            readOnly: true,
            pidNamespace: true,
            noNewPrivileges: true,
            dropCapabilities: true,
          },
          { argv: ['/segfault'], root: '/box', uid: 1000, pidNamespace: true },
          { argv: ['/confinement'], root: '/box', dropCapabilities: true, withoutProc: true },
        ],
      );
      expect(report.results).toHaveLength(11);
      const [machine, args, status, segfault, copied, slept, lost, free, confined, first, bare] =
        report.results;
      expect(machine?.stdout.toString()).toBe(`${arch} ${report.pageSize}\n`);
      expect(report.pageSize).toBe(name === 'ppc64le' ? 65536 : 4096);
      expect(parseArguments(args?.stdout ?? Buffer.of())).toEqual({
        argv: ['/bin/arguments', ...AWKWARD],
        env: ['A=1', 'B=\xff\n'],
      });
      expect(status?.status).toBe(3);
      expect(segfault).toMatchObject({ status: 139, signal: 11 });
      expect(copied?.stdout.equals(everyByte)).toBe(true);
      expect(copied?.stderr.toString()).toBe('70000 bytes\n');
      expect(slept).toMatchObject({ status: -1 });
      expect(slept?.stdout.toString()).toBe('ready\n');
      expect(lost?.stderr.toString()).toBe('testkit: /nowhere: No such file or directory\n');
      expect(free?.stdout.toString()).toMatch(
        /^uid=0 gid=0 capabilities=0*[1-9a-f][0-9a-f]* no_new_privs=0 writable=\/,\/open,\n$/,
      );
      expect(confined?.stdout.toString()).toBe(
        'uid=1000 gid=1000 capabilities=0000000000000000 no_new_privs=1 writable=\n',
      );
      expect(first?.status).toBe(139);
      expect(bare?.stdout.toString()).toMatch(/capabilities=0000000000000000/);
    },
    300_000,
  );
});
