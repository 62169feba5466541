import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEBIAN_ARCHIVE_KEYS } from './archive-keyring.ts';
import type { DebianContext } from './context.ts';
import { archiveKeys } from './keyring.ts';
import { readInRelease } from './release.ts';

const LISTS = '/var/lib/apt/lists';

/** What apt fetched on this machine is real data with real signatures. */
function realReleases(): readonly string[] {
  try {
    return readdirSync(LISTS)
      .filter((name) => /_debian_dists_[a-z-]+_InRelease$/.test(name))
      .map((name) => path.join(LISTS, name));
  } catch {
    return [];
  }
}

const real = realReleases();
const keys = archiveKeys({ env: {} } as unknown as DebianContext);

test('the bundled keys are those of the archive and of releases', async () => {
  const owners = (await keys).map((key) => key.users[0]?.userID?.userID);
  expect(owners).toHaveLength(DEBIAN_ARCHIVE_KEYS.length);
  for (const release of ['11/bullseye', '12/bookworm', '13/trixie']) {
    expect(owners.filter((owner) => owner?.includes(release))).toHaveLength(3);
  }
});

describe.skipIf(real.length === 0)('real Release files (needs some: apt-get update)', () => {
  test.each(real)('%s is signed by Debian', async (file) => {
    const bytes = readFileSync(file);
    const signed = /^Date: (.*) UTC$/m.exec(bytes.toString('latin1'))?.[1];
    const now = new Date(`${signed} GMT`);
    const release = await readInRelease(
      bytes,
      await keys,
      new Date(now.getTime() + 86400_000),
      file,
    );
    expect(release.date).toEqual(now);
    expect(release.architectures).toContain('amd64');
    expect(release.files.get('main/binary-amd64/Packages.xz')?.size).toBeGreaterThan(100);
    const spoiled = Buffer.from(bytes);
    const at = spoiled.indexOf('SHA256:') + 20;
    spoiled.writeUInt8(spoiled.readUInt8(at) ^ 1, at);
    await expect(readInRelease(spoiled, await keys, now, file)).rejects.toMatchObject({
      code: 'UPORT_DEBIAN_SIGNATURE_BAD',
    });
  });
});
