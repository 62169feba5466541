import { Args, Flags } from '@oclif/core';
import { type BinfmtSubject, parseBinfmtSubject, planPrivateBinfmt, Store } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { subjectList } from '../../binfmt-flags.ts';
import { handOver, inheritedEnvironment } from '../../hand-over.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../../shared-flags.ts';
import { splitCommandLine } from '../../split-command-line.ts';

export default class BinfmtExec extends BaseCommand {
  static override enableJsonFlag = false;

  static override summary =
    "Run a command in which every CPU's programs and FatELF files run. No root, nothing left behind.";

  static override description =
    'The registrations are seen by the command and what it starts, nobody else. Without a command it is your shell. It needs Linux 6.7 and user namespaces. Inside, setuid programs such as sudo do not work, and files of others are shown as those of nobody.';

  static override examples = [
    '<%= config.bin %> binfmt exec',
    '<%= config.bin %> binfmt exec -- ./app.fatelf --help',
    '<%= config.bin %> binfmt exec --guest riscv64 -- make test',
  ];

  static override strict = false;

  static override args = {
    command: Args.string({ ignoreStdin: true, description: 'the command; default: $SHELL' }),
    args: Args.string({ ignoreStdin: true, description: 'its arguments' }),
  };

  static override flags = {
    guest: Flags.custom<BinfmtSubject>({
      summary:
        'A CPU by any usual name, or fatelf. Default: fatelf, and every CPU that this machine does not run by itself.',
      helpValue: 'CPU',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      parse: async (name) => parseBinfmtSubject(name),
    })(),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
  };

  async run(): Promise<void> {
    const { own, program } = splitCommandLine(this.argv, BinfmtExec.flags);
    const { args, flags } = await this.parse(BinfmtExec, own);
    const subjects = subjectList(flags.guest);
    const command = args.command ?? (process.env.SHELL || 'sh');
    handOver(
      await planPrivateBinfmt({
        ...(subjects && { subjects }),
        ...providersOf(flags),
        command: [command, ...program],
        env: inheritedEnvironment(),
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
        store: await Store.open(),
        progress: this.progress,
        signal: this.signal,
        warn: this.tell,
      }),
    );
  }
}
