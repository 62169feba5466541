import { registerBinfmt, Store } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { prefixFlag, subjectArgs, subjectList } from '../../binfmt-flags.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../../shared-flags.ts';

export default class BinfmtRegister extends BaseCommand {
  static override summary =
    'Have the kernel start programs of other CPUs, and FatELF files, for everybody (as root).';

  static override description =
    'Emulators and launcher are copied into the prefix, since they must stay. The kernel forgets registrations when it stops: `uport binfmt print --format binfmt.d` writes a file that brings them back at boot.';

  static override examples = [
    'sudo <%= config.bin %> binfmt register',
    'sudo <%= config.bin %> binfmt register arm64 riscv64 fatelf',
    'sudo <%= config.bin %> binfmt register --emulators dir:/usr/bin',
  ];

  static override args = subjectArgs();

  static override flags = {
    prefix: prefixFlag(),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(BinfmtRegister);
    const subjects = subjectList(args.guest);
    const registrations = await registerBinfmt({
      ...(subjects && { subjects }),
      ...(flags.prefix !== undefined && { prefix: flags.prefix }),
      ...providersOf(flags),
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    for (const { name, interpreter, flags: letters } of registrations) {
      this.log(`${name.padEnd(20)}  ${letters.padEnd(2)}  ${interpreter}`);
    }
    return registrations.map(({ name, interpreter, flags: letters }) => ({
      name,
      interpreter,
      flags: letters,
    }));
  }
}
