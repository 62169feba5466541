import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineFlags } from './support/emitters.ts';
import { type Index, readImages, readJson } from './support/layout.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { missingTools, named } from './support/tools.ts';
import { errorCode, start, uport } from './support/uport.ts';

const USER = 'uport';
const PASSWORD = 'a test password';
// bcrypt of PASSWORD, the only kind of hash that the registry takes.
const HTPASSWD = `${USER}:$2b$04$nXFHyTF5R4a.gS5CHO5N8.z3nIrspiA6PuiQW/Wd7naVq0dzpvGwm\n`;

interface Registry {
  readonly host: string;
  stop(): Promise<void>;
}

/** Debian's docker-registry on loopback, with basic auth. */
async function startRegistry(folder: string): Promise<Registry> {
  const port = await new Promise<number>((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
  const host = `127.0.0.1:${port}`;
  await mkdir(folder);
  await writeFile(path.join(folder, 'htpasswd'), HTPASSWD);
  // JSON is YAML.
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(folder, 'storage') } },
    http: { addr: host },
    auth: { htpasswd: { realm: 'test', path: path.join(folder, 'htpasswd') } },
  };
  await writeFile(path.join(folder, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', path.join(folder, 'config.yml')], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill();
    await ended;
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    try {
      await (await fetch(`http://${host}/v2/`)).arrayBuffer();
      return { host, stop };
    } catch {
      await sleep(50);
    }
  }
  await stop();
  throw new Error('docker-registry did not start');
}

const missing = missingTools('docker-registry', 'skopeo');

describe.skipIf(missing)(named('uport build --push', missing), () => {
  let folder: string;
  let registry: Registry;
  let reference: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    registry = await startRegistry(path.join(folder, 'registry'));
    reference = `${registry.host}/team/probe:1.0`;
    const auth = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
    await writeFile(
      path.join(folder, 'config.json'),
      JSON.stringify({ auths: { [registry.host]: { auth } } }),
    );
  });
  afterAll(async () => {
    await registry.stop();
    await removeFolder(folder);
  });

  const push = (dockerConfig: string) => {
    const args = [NQUEENS, ...offlineFlags(), '-o', path.join(folder, 'out')];
    return uport(['build', ...args, '--push', reference, '--insecure', '--json'], {
      env: { DOCKER_CONFIG: dockerConfig },
    });
  };

  test('without the password is refused, and says how to get in', async () => {
    const args = [NQUEENS, ...offlineFlags(), '-o', path.join(folder, 'out')];
    const refused = await uport(['build', ...args, '--push', reference, '--insecure'], {
      env: { DOCKER_CONFIG: path.join(folder, 'nowhere') },
    });
    expect([refused.status, errorCode(refused)]).toEqual([5, 'UPORT_REGISTRY_UNAUTHORIZED']);
    expect(refused.stderr).toContain('docker login');
  });

  test('the index and its five platforms come back as they were; a second push moves no blob', async () => {
    const first = await push(folder);
    expect(first).toMatchObject({ status: 0 });
    const [pushed] = JSON.parse(first.stdout).pushed;
    expect(pushed.uploadedBlobs).toBeGreaterThan(5);
    const second = await push(folder);
    expect(second).toMatchObject({ status: 0 });
    expect(JSON.parse(second.stdout).pushed[0]).toMatchObject({
      uploadedBlobs: 0,
      digest: pushed.digest,
    });

    const layout = path.join(folder, 'out', 'oci');
    const back = path.join(folder, 'back');
    const copied = await start('skopeo', [
      ...['copy', '--all', '--quiet', '--src-tls-verify=false'],
      ...['--authfile', path.join(folder, 'config.json')],
      ...[`docker://${reference}`, `oci:${back}:latest`],
    ]);
    expect(copied).toMatchObject({ status: 0 });
    const [ours, theirs] = await Promise.all(
      [layout, back].map(async (dir) => (await readJson(path.join(dir, 'index.json'))) as Index),
    );
    expect(theirs?.manifests[0]?.digest).toBe(ours?.manifests[0]?.digest);
    expect(theirs?.manifests[0]?.digest).toBe(pushed.digest);
    expect(await readImages(back)).toEqual(await readImages(layout));
    expect(await uport(['validate', back])).toMatchObject({ status: 0 });
  });
});
