import { existsSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named, noOtherUser } from './support/tools.ts';
import { start, UPORT } from './support/uport.ts';

const missing = noOtherUser() ?? missingTools('unshare', 'setpriv');
const AS_USER = ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'];

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  await chmod(folder, 0o777);
});
afterAll(() => removeFolder(folder));

interface Report {
  readonly host: string;
  readonly userNamespaceBlockers: readonly string[];
  readonly kernel: { readonly pageSize: number; readonly seccompMode: number };
  readonly ways: {
    readonly chosen: string;
    readonly trials: readonly { way: string; works: boolean; reason?: string }[];
  };
  readonly places: readonly { path: string; fault?: string }[];
  readonly advice: readonly string[];
}

/** Runs the doctor as an ordinary user, below a prefix of commands. */
async function doctor(...prefix: readonly string[]): Promise<Report> {
  const env = { HOME: folder, UPORT_STORE_DIR: path.join(folder, 'store') };
  const [program, ...args] = [...prefix, process.execPath, UPORT, 'doctor', '--json'];
  const finished = await start(program as string, args, { env });
  expect(finished).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(finished.stdout) as Report;
}

function trial(report: Report, way: string) {
  return report.ways.trials.find((each) => each.way === way);
}

test('tells what this machine is and how children run', async () => {
  const report = await doctor();
  expect(report.kernel.pageSize).toBeGreaterThanOrEqual(4096);
  const chosen = trial(report, report.ways.chosen);
  expect(report.ways.chosen === 'none' || chosen?.works).toBe(true);
  for (const { works, reason } of report.ways.trials) expect(works || reason).toBeTruthy();
  expect(report.places.map((place) => place.path)).toContain(`${folder}/.cache/uport`);
  await rm(path.join(folder, 'store'), { recursive: true, force: true });
});

test.skipIf(missing)(
  named('names the sysctl that forbids user namespaces, and takes ptrace', missing),
  async () => {
    const lock = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"';
    const namespace = ['unshare', '--user', '--map-root-user', 'sh', '-c', lock, 'sh'];
    const report = await doctor(...AS_USER, ...namespace);
    expect(report.userNamespaceBlockers).toEqual(['the sysctl user.max_user_namespaces is 0']);
    expect(trial(report, 'userns')).toMatchObject({ works: false });
    expect(trial(report, 'ptrace')).toMatchObject({ works: true });
    expect(report.ways.chosen).toBe('ptrace');
  },
);

const noexec = missing ?? (existsSync('/dev/shm') ? undefined : '/dev/shm is missing');
test.skipIf(noexec)(named('finds places that are mounted noexec', noexec), async () => {
  const inside = 'mount -t tmpfs -o noexec,mode=1777 tmpfs /dev/shm && exec "$@"';
  const report = await doctor('unshare', '--mount', 'sh', '-c', inside, 'sh', ...AS_USER);
  expect(report.places).toContainEqual({
    path: '/dev/shm/uport-1000',
    fault: 'is mounted noexec',
  });
});
