import { fatElfFiles } from '@uport/core/fatelf';
import { EXIT_STATUS } from '@uport/core/model';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg } from '../../fatelf-args.ts';

export default class FatElfValidate extends BaseCommand {
  static override summary = 'Check a FatELF file: table, places, programs, gaps.';

  static override description = 'Reports all faults at once. Ends with 6 when there are any.';

  static override examples = ['<%= config.bin %> fatelf validate app'];

  static override args = { file: fatElfArg() };

  async run(): Promise<unknown> {
    const { args } = await this.parse(FatElfValidate);
    const faults = await fatElfFiles.validateFile(args.file, this.signal);
    for (const fault of faults) this.log(`${fault.code}  ${fault.where}: ${fault.message}`);
    if (faults.length > 0) process.exitCode = EXIT_STATUS.validation;
    else this.log(`${args.file}: no faults`);
    return { ...args, faults };
  }
}
