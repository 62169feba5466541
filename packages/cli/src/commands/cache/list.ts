import { listRunFolders, listStore, Store } from '@uport/core/store';
import { BaseCommand } from '../../base-command.ts';
import { humanSize } from '../../progress-bar.ts';

export default class CacheList extends BaseCommand {
  static override summary =
    'List what the store holds: packages, emulators, layers, programs that were run.';

  static override examples = [
    '<%= config.bin %> cache list',
    '<%= config.bin %> cache list --json',
  ];

  async run(): Promise<unknown> {
    await this.parse(CacheList);
    const store = await Store.open();
    const blobs = await listStore(store);
    for (const { digest, size, lastUsed, name } of blobs) {
      const used = lastUsed.toISOString().slice(0, 10);
      this.log(
        `${digest.slice(0, 19)}  ${humanSize(size).padStart(10)}  ${used}  ${name ?? ''}`.trimEnd(),
      );
    }
    const runFolders = await listRunFolders(store);
    for (const { name, size, lastUsed } of runFolders) {
      const used = lastUsed.toISOString().slice(0, 10);
      this.log(`${`run/${name}`.slice(0, 19)}  ${humanSize(size).padStart(10)}  ${used}`);
    }
    const bytes = [...blobs, ...runFolders].reduce((sum, each) => sum + each.size, 0);
    this.log(
      `${store.root}: ${blobs.length} blobs, ${runFolders.length} run folders, ${humanSize(bytes)}`,
    );
    return { root: store.root, bytes, blobs, runFolders };
  }
}
