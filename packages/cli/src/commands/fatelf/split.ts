import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg, noTrailingFlag } from '../../fatelf-args.ts';

export default class FatElfSplit extends BaseCommand {
  static override summary = 'Write every program of a FatELF file, as FILE-TARGET.';

  static override description =
    'TARGET is the shortest name that only this program has. The files written are listed.';

  static override examples = ['<%= config.bin %> fatelf split app'];

  static override args = { file: fatElfArg() };

  static override flags = { 'no-trailing': noTrailingFlag() };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(FatElfSplit);
    const written = await fatElfFiles.splitFile(args.file, {
      signal: this.signal,
      trailing: !flags['no-trailing'],
    });
    for (const file of written) this.log(file);
    return { ...args, written };
  }
}
