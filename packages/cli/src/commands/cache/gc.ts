import { Flags } from '@oclif/core';
import { collectStore, Store } from '@uport/core/store';
import { BaseCommand } from '../../base-command.ts';
import { humanSize } from '../../progress-bar.ts';

export default class CacheGc extends BaseCommand {
  static override summary = 'Remove what was not used for a while, and what killed builds left.';

  static override description = 'Safe while builds run.';

  static override examples = ['<%= config.bin %> cache gc', '<%= config.bin %> cache gc --days 7'];

  static override flags = {
    days: Flags.integer({
      summary: 'Keep what was used in the last so many days.',
      default: 30,
      min: 0,
      helpValue: 'N',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(CacheGc);
    const store = await Store.open();
    const collected = await collectStore(store, { days: flags.days, signal: this.signal });
    this.log(
      `${store.root}: removed ${collected.blobs} blobs, ${collected.records} records, ${collected.runFolders} run folders and ${collected.temporaries} leftovers, ${humanSize(collected.bytes)}`,
    );
    return { root: store.root, ...collected };
  }
}
