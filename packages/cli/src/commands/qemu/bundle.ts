import { Flags } from '@oclif/core';
import { type Arch, bundleQemu, parseArch } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { hostFlag } from '../../host-flag.ts';
import { humanSize } from '../../progress-bar.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../../shared-flags.ts';

export default class QemuBundle extends BaseCommand {
  static override summary = "Make one file that runs a guest CPU's programs on every host.";

  static override description =
    'The file takes what qemu-<guest> takes: its options, then a program and its arguments.';

  static override examples = [
    '<%= config.bin %> qemu bundle --guest x86_64 -o qemu-x86_64   # then: ./qemu-x86_64 ./prog ARGS',
  ];

  static override flags = {
    guest: Flags.custom<Arch>({
      summary: 'The CPU whose programs it runs, by any usual name.',
      helpValue: 'CPU',
      required: true,
      parse: async (spelling) => parseArch(spelling),
    })(),
    out: Flags.string({
      char: 'o',
      summary: 'The file to write. Default: qemu-<guest>.',
      helpValue: 'FILE',
    }),
    host: hostFlag(),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
    'compression-level': Flags.integer({
      summary: 'How hard to compress, 1 to 19.',
      min: 1,
      max: 19,
      helpValue: 'N',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(QemuBundle);
    const { artifact, emulators } = await bundleQemu({
      guest: flags.guest,
      file: flags.out ?? `qemu-${flags.guest.name}`,
      ...(flags.host && { hosts: flags.host }),
      ...providersOf(flags),
      ...(flags['compression-level'] !== undefined && { level: flags['compression-level'] }),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    for (const { host, guest, version } of emulators) {
      this.log(`${host.padEnd(16)} qemu-${guest} ${version}`);
    }
    this.log(`${artifact.path}  ${artifact.digest}  ${humanSize(artifact.size)}`);
    return { artifact, emulators };
  }
}
