import { Args } from '@oclif/core';
import { describeChange, Store } from '@uport/core';
import { updateLock } from '@uport/core/config';
import { BaseCommand } from '../base-command.ts';
import { configFlag, noConfig, readConfig } from '../config-flags.ts';
import { pushFlags } from '../shared-flags.ts';

export default class Update extends BaseCommand {
  static override summary =
    'Find anew what uport.lock pins: emulators, packages, images, launchers.';

  static override description =
    'Without a name everything is found anew; with names only these, and all else stays. Nothing is built.';

  static override examples = [
    '<%= config.bin %> update',
    '<%= config.bin %> update qemu-x86_64 libc6',
  ];

  static override strict = false;

  static override args = {
    name: Args.string({
      ignoreStdin: true,
      description: 'an emulator (qemu-x86_64), a package or an app; several may be named',
    }),
  };

  static override flags = { config: configFlag(), insecure: pushFlags.insecure };

  async run(): Promise<unknown> {
    const { argv, flags } = await this.parse(Update);
    const config = await readConfig(flags.config);
    if (config === undefined) throw noConfig('there is nothing to update');
    const changes = await updateLock(
      {
        config,
        store: await Store.open(),
        progress: this.progress,
        signal: this.signal,
        insecure: flags.insecure,
        warn: this.tell,
      },
      argv as string[],
    );
    for (const change of changes) this.log(describeChange(change));
    if (changes.length === 0) this.log('everything is up to date');
    return { changes };
  }
}
