import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Flags } from '@oclif/core';
import { type Arch, examineHost, type HostReport, parseArch, Store } from '@uport/core';
import { BaseCommand } from '../base-command.ts';
import { inheritedEnvironment } from '../hand-over.ts';

const WAYS: Readonly<Record<string, string>> = {
  binfmt: "the system's binfmt_misc",
  userns: 'a private binfmt_misc',
  ptrace: 'ptrace and seccomp',
  none: 'plain emulation',
};

export default class Doctor extends BaseCommand {
  static override summary = 'Show what this machine allows, and which way programs will run.';

  static override description =
    'Each way is tried, not guessed: nothing is changed and nothing is fetched. docs/fidelity.md says what a way can and cannot do.';

  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor --guest arm64 --json',
  ];

  static override flags = {
    guest: Flags.custom<Arch>({
      summary:
        "A CPU whose apps are to run here. Default: those of images, without this machine's.",
      helpValue: 'CPU',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      parse: async (spelling) => parseArch(spelling),
    })(),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Doctor);
    // What is tried must not depend on the user's store, nor be left there.
    const folder = await mkdtemp(path.join(tmpdir(), 'uport-doctor-'));
    const store = await Store.open(path.join(folder, 'store'));
    const report = await examineHost({
      ...(flags.guest && { guests: flags.guest }),
      env: inheritedEnvironment(),
      uid: process.getuid?.() ?? -1,
      store,
      progress: this.progress,
      signal: this.signal,
    }).finally(() => rm(folder, { recursive: true, force: true }));
    for (const [title, text] of lines(report)) this.log(`${title.padEnd(16)}${text}`);
    for (const line of report.advice) this.log(`next: ${line}`);
    return json(report);
  }
}

function lines(report: HostReport): readonly (readonly [title: string, text: string])[] {
  const { host, kernel, binfmt, ways, userNamespaceBlockers: blockers } = report;
  const pages = kernel.pageSize === undefined ? '' : `, pages of ${kernel.pageSize / 1024} KiB`;
  const state = !binfmt.mounted ? 'not mounted' : binfmt.enabled ? 'enabled' : 'disabled';
  const trials = new Map(ways.trials.map((trial) => [trial.way, trial]));
  const trial = (way: 'userns' | 'ptrace') => {
    const found = trials.get(way);
    return found?.works ? 'works' : `no: ${found?.reason}`;
  };
  const yama =
    kernel.yamaPtraceScope === undefined ? '' : ` (yama.ptrace_scope is ${kernel.yamaPtraceScope})`;
  return [
    ['host', `${host.name}, Linux ${kernel.release}${pages}`],
    ['binfmt_misc', state],
    ...binfmt.registrations.map(
      ({ guest, entry, faults }) =>
        ['', `${guest}: ${[`${entry.interpreter} ${entry.flags}`, ...faults].join('; ')}`] as const,
    ),
    ['user namespaces', blockers.length > 0 ? `no: ${blockers.join('; ')}` : allowed(kernel)],
    ['private binfmt', trial('userns')],
    ['ptrace', trial('ptrace') + yama],
    [
      'this process',
      [
        kernel.seccompMode === 2 ? 'seccomp filter' : 'no seccomp filter',
        ...(kernel.noNewPrivileges ? ['no_new_privs'] : []),
        ...(kernel.tracer > 0 ? [`traced by ${kernel.tracer}`] : []),
        ...(kernel.hasCapabilities ? ['has capabilities'] : []),
      ].join(', '),
    ],
    ...report.compatible.map(
      ({ arch, runs }) =>
        [
          'compatible',
          `${arch.name}: ${runs === undefined ? 'not tried' : runs ? 'the kernel runs it' : 'no'}`,
        ] as const,
    ),
    ...report.places.map(
      ({ path, fault }) => ['unpacks to', `${path}${fault ? `: ${fault}` : ''}`] as const,
    ),
    [
      'memory',
      kernel.memfdNoExec === 2 ? 'no programs in it: vm.memfd_noexec is 2' : 'programs run from it',
    ],
    ['children run by', WAYS[ways.chosen] ?? ways.chosen],
    ...ways.passedOver.map(({ way, reason }) => ['', `not ${WAYS[way]}: ${reason}`] as const),
  ];
}

/** With the sysctls that would forbid user namespaces, as they are. */
function allowed(kernel: HostReport['kernel']): string {
  const settings = [
    ['user.max_user_namespaces', kernel.maxUserNamespaces],
    ['kernel.unprivileged_userns_clone', kernel.unprivilegedUserNamespaces],
    ['kernel.apparmor_restrict_unprivileged_userns', kernel.appArmorRestricts],
  ].filter(([, value]) => value !== undefined);
  const told = settings.map(([name, value]) => `${name} is ${value}`).join(', ');
  return told === '' ? 'allowed' : `allowed (${told})`;
}

function json(report: HostReport): unknown {
  return {
    ...report,
    host: report.host.name,
    guests: report.guests.map(({ name }) => name),
    binfmt: {
      ...report.binfmt,
      registrations: report.binfmt.registrations.map(({ guest, entry, faults }) => ({
        guest,
        name: entry.name,
        enabled: entry.enabled,
        interpreter: entry.interpreter,
        flags: entry.flags,
        faults,
      })),
    },
    compatible: report.compatible.map(({ arch, runs }) => ({ arch: arch.name, runs })),
  };
}
