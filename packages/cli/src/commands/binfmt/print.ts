import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Flags } from '@oclif/core';
import {
  BINFMT_FORMATS,
  binfmtInterpreterName,
  binfmtRegistration,
  DEFAULT_BINFMT_FLAGS,
  DEFAULT_BINFMT_PREFIX,
  foreignSubjects,
  hostArch,
  makeFolder,
  parseBinfmtFormat,
} from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { prefixFlag, subjectArgs, subjectList } from '../../binfmt-flags.ts';
import { usage } from '../../pairs.ts';

export default class BinfmtPrint extends BaseCommand {
  static override summary = 'Print registrations for binfmt_misc, made from the CPU table.';

  static override description =
    'Nothing is registered. The interpreters named are those that `uport binfmt register` puts into the prefix: qemu-GUEST, and launch for FatELF.';

  static override examples = [
    '<%= config.bin %> binfmt print riscv64',
    '<%= config.bin %> binfmt print --format binfmt.d > /etc/binfmt.d/uport.conf',
    '<%= config.bin %> binfmt print --format debian -o /usr/share/binfmts arm64 fatelf',
    '<%= config.bin %> binfmt print --format nixos -o .',
  ];

  static override args = subjectArgs();

  static override flags = {
    format: Flags.string({
      summary: BINFMT_FORMATS.map(({ name, summary }) => `${name}: ${summary}`).join('; '),
      options: BINFMT_FORMATS.map(({ name }) => name),
      default: 'kernel',
    }),
    prefix: prefixFlag(),
    'binfmt-flags': Flags.string({
      summary: 'Flags of the registrations, as the kernel names them.',
      helpValue: 'FLAGS',
      default: DEFAULT_BINFMT_FLAGS,
    }),
    out: Flags.string({
      char: 'o',
      summary: 'Write the files into this folder in place of printing.',
      helpValue: 'DIR',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(BinfmtPrint);
    const prefix = path.resolve(flags.prefix ?? DEFAULT_BINFMT_PREFIX);
    const registrations = (subjectList(args.guest) ?? foreignSubjects(hostArch())).map((subject) =>
      binfmtRegistration(
        subject,
        path.join(prefix, binfmtInterpreterName(subject)),
        flags['binfmt-flags'],
      ),
    );
    const files = parseBinfmtFormat(flags.format).files(registrations);
    if (flags.out === undefined) {
      if (files.length > 1 && !this.jsonEnabled()) {
        throw usage(
          `${flags.format} wants a file for each registration`,
          'name a folder with -o DIR, or one guest',
        );
      }
      for (const { text } of files) this.log(text.trimEnd());
      return files;
    }
    await makeFolder(flags.out);
    for (const { name, text } of files) {
      const file = path.join(flags.out, name);
      const temporary = path.join(flags.out, `.${name}.${process.pid}.tmp`);
      await writeFile(temporary, text, { mode: 0o644 });
      await rename(temporary, file);
      this.log(file);
    }
    return files;
  }
}
