import { readBinfmtStatus, servedSubjects } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { subjectArgs, subjectList, subjectName } from '../../binfmt-flags.ts';

export default class BinfmtStatus extends BaseCommand {
  static override summary = 'Show what is registered for which CPU, and by which name.';

  static override examples = [
    '<%= config.bin %> binfmt status',
    '<%= config.bin %> binfmt status arm64 fatelf --json',
  ];

  static override args = subjectArgs();

  async run(): Promise<unknown> {
    const { args } = await this.parse(BinfmtStatus);
    const asked = subjectList(args.guest);
    const status = await readBinfmtStatus();
    const rows = servedSubjects(status)
      .filter(({ subject }) => asked === undefined || asked.includes(subject))
      .flatMap(({ subject, entries }) =>
        entries.map(({ name, enabled, interpreter, flags }) => ({
          guest: subjectName(subject),
          name,
          enabled: enabled && status.enabled,
          interpreter,
          flags,
        })),
      );
    const state = !status.mounted ? 'not mounted' : status.enabled ? 'enabled' : 'disabled';
    this.log(`binfmt_misc is ${state}`);
    for (const { guest, name, enabled, interpreter, flags } of rows) {
      const off = enabled ? '' : '  (disabled)';
      this.log(`${guest.padEnd(14)}${name.padEnd(20)}  ${flags.padEnd(4)}  ${interpreter}${off}`);
    }
    if (status.mounted && rows.length === 0) this.log('nothing is registered for these');
    return { mounted: status.mounted, enabled: status.enabled, registrations: rows };
  }
}
