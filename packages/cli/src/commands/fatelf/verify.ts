import { fatElfFiles } from '@uport/core/fatelf';
import { EXIT_STATUS } from '@uport/core/model';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg, targetArg } from '../../fatelf-args.ts';

export default class FatElfVerify extends BaseCommand {
  static override summary = 'Tell whether a FatELF file has a program for a target.';

  static override description = 'Ends with 6 when it has none.';

  static override examples = ['<%= config.bin %> fatelf verify app x86_64'];

  static override args = { file: fatElfArg(), target: targetArg() };

  async run(): Promise<unknown> {
    const { args } = await this.parse(FatElfVerify);
    const found = await fatElfFiles.verifyFile(args.file, args.target);
    this.log(`${args.file}: ${found ? 'has' : 'has no'} program for ${args.target}`);
    if (!found) process.exitCode = EXIT_STATUS.validation;
    return { ...args, found };
  }
}
