import { fatElfFiles } from '@uport/core/fatelf';
import { BaseCommand } from '../../base-command.ts';
import { fatElfArg } from '../../fatelf-args.ts';

export default class FatElfInfo extends BaseCommand {
  static override summary = 'Show the records of a FatELF file.';

  static override description =
    'A damaged file is shown too, with what is wrong in its table. uport inspect shows digests as well.';

  static override examples = [
    '<%= config.bin %> fatelf info app',
    '<%= config.bin %> fatelf info app --json',
  ];

  static override args = { file: fatElfArg() };

  async run(): Promise<unknown> {
    const { args } = await this.parse(FatElfInfo);
    const { version, records, trailing, ...info } = await fatElfFiles.infoFile(args.file);
    const faults = info.faults.map((fault) => fault.inFile(args.file));
    this.log(`${args.file}: FatELF version ${version}, records: ${records.length}`);
    for (const record of records) {
      this.log(
        `record${record.index}  ${record.target}  offset ${record.offset}  size ${record.size}`,
      );
    }
    if (trailing.size > 0)
      this.log(`trailing data  offset ${trailing.offset}  size ${trailing.size}`);
    for (const fault of faults) this.log(`fault: ${fault.code}  ${fault.where}: ${fault.message}`);
    return {
      file: args.file,
      version,
      records: records.map((record) => ({
        ...record,
        offset: Number(record.offset),
        size: Number(record.size),
      })),
      trailing,
      faults,
    };
  }
}
