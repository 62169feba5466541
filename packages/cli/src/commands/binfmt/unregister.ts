import { unregisterBinfmt } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { prefixFlag, subjectArgs, subjectList } from '../../binfmt-flags.ts';

export default class BinfmtUnregister extends BaseCommand {
  static override summary =
    "Undo uport's registrations and remove their interpreters from the prefix (as root).";

  static override description = 'Registrations that others made stay as they are.';

  static override examples = [
    'sudo <%= config.bin %> binfmt unregister',
    'sudo <%= config.bin %> binfmt unregister riscv64',
  ];

  static override args = subjectArgs();

  static override flags = { prefix: prefixFlag() };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(BinfmtUnregister);
    const removed = await unregisterBinfmt(subjectList(args.guest), flags.prefix);
    for (const name of removed) this.log(name);
    if (removed.length === 0) this.log('nothing of uport was registered');
    return { removed };
  }
}
