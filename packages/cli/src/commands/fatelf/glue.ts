import { Args, Flags } from '@oclif/core';
import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { outArg } from '../../fatelf-args.ts';

export default class FatElfGlue extends BaseCommand {
  static override summary =
    'Put ELF programs or libraries for different CPUs into one FatELF file.';

  static override examples = [
    '<%= config.bin %> fatelf glue app app-x86_64 app-arm64 app-riscv64',
    '<%= config.bin %> fatelf glue app app-x86_64 app-arm64 --trailing data.zip',
  ];

  static override args = {
    out: outArg(),
    in: Args.string({
      description: 'ELF files, each for another CPU',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  };

  static override flags = {
    trailing: Flags.string({
      summary: 'A file whose bytes follow the last ELF: data that all programs share.',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(FatElfGlue);
    await fatElfFiles.glueFiles(args.out, args.in, {
      signal: this.signal,
      ...(flags.trailing !== undefined && { trailing: flags.trailing }),
    });
    return { out: args.out, in: args.in, trailing: flags.trailing };
  }
}
