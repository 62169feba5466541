import { Args } from '@oclif/core';
import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg, outArg } from '../../fatelf-args.ts';

export default class FatElfReplace extends BaseCommand {
  static override summary = 'Write a FatELF file with a new program in the place of its old one.';

  static override description =
    "The new program's own header tells which one it replaces. The other programs and the trailing data keep every byte. OUT may be FILE.";

  static override examples = ['<%= config.bin %> fatelf replace app app app-arm64-fixed'];

  static override args = {
    out: outArg(),
    file: fatElfArg(),
    new: Args.string({ description: 'an ELF file', required: true, ignoreStdin: true }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(FatElfReplace);
    await fatElfFiles.replaceFile(args.out, args.file, args.new, { signal: this.signal });
    return args;
  }
}
