import { clearStore, Store } from '@uport/core/store';
import { BaseCommand } from '../../base-command.ts';
import { humanSize } from '../../progress-bar.ts';

export default class CacheClear extends BaseCommand {
  static override summary = 'Remove everything from the store.';

  static override description =
    'The next build fetches its emulators again. A build that runs meanwhile may fail.';

  static override examples = ['<%= config.bin %> cache clear'];

  async run(): Promise<unknown> {
    await this.parse(CacheClear);
    const store = await Store.open();
    const removed = await clearStore(store, { signal: this.signal });
    this.log(
      `${store.root}: removed ${removed.blobs} blobs, ${removed.runFolders} run folders, ${humanSize(removed.bytes)}`,
    );
    return { root: store.root, ...removed };
  }
}
