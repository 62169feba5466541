import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg, noTrailingFlag, outArg, targetArg } from '../../fatelf-args.ts';

export default class FatElfExtract extends BaseCommand {
  static override summary = 'Write one program of a FatELF file.';

  static override examples = [
    '<%= config.bin %> fatelf extract app-arm64 app aarch64',
    '<%= config.bin %> fatelf extract app-first app record0',
  ];

  static override args = { out: outArg(), file: fatElfArg(), target: targetArg() };

  static override flags = { 'no-trailing': noTrailingFlag() };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(FatElfExtract);
    await fatElfFiles.extractFile(args.out, args.file, args.target, {
      signal: this.signal,
      trailing: !flags['no-trailing'],
    });
    return { ...args, trailing: !flags['no-trailing'] };
  }
}
