import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg, outArg, targetArg } from '../../fatelf-args.ts';

export default class FatElfRemove extends BaseCommand {
  static override summary = 'Write a FatELF file without one of its programs.';

  static override description =
    'The other programs and the trailing data keep every byte. OUT may be FILE.';

  static override examples = ['<%= config.bin %> fatelf remove smaller app riscv'];

  static override args = { out: outArg(), file: fatElfArg(), target: targetArg() };

  async run(): Promise<unknown> {
    const { args } = await this.parse(FatElfRemove);
    await fatElfFiles.removeFile(args.out, args.file, args.target, { signal: this.signal });
    return args;
  }
}
