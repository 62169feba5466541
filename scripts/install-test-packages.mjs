// Installs the Debian packages that tests on real parts need. Also a program of its own, so that it can
// run while something else does.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const LIST = path.join(import.meta.dirname, '../packages/testkit/debian-packages.json');
/** An interrupted installation is made again: nothing has to reach the disk before it goes on. */
const UNSAFE_IO = ['-o', 'Dpkg::Options::=--force-unsafe-io'];

function run(args, env) {
  const { status, signal } = spawnSync('apt-get', [...UNSAFE_IO, ...args], {
    stdio: 'inherit',
    env,
  });
  return signal === null ? status : 1;
}

function missingPackages() {
  const wanted = JSON.parse(readFileSync(LIST, 'utf8'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format
  const format = '${Package} ${db:Status-Abbrev}\n';
  const query = spawnSync('dpkg-query', ['-W', '-f', format, ...wanted], {
    encoding: 'utf8',
  });
  if (query.error) return undefined;
  const installed = new Set();
  for (const line of query.stdout.split('\n')) {
    const [name, status] = line.split(' ');
    if (status === 'ii') installed.add(name);
  }
  return wanted.filter((name) => !installed.has(name));
}

/** As root on Debian; elsewhere it says what is missing. */
export function installTestPackages() {
  const missing = missingPackages();
  if (missing === undefined) {
    console.log('Not Debian: tests that need its packages are skipped and say so.');
    return;
  }
  if (missing.length === 0) return;
  const install = ['install', '-y', '-q', '--no-install-recommends', ...missing];
  if (process.getuid() !== 0) {
    console.log(`Some tests will be skipped. To run them all: sudo apt-get ${install.join(' ')}`);
    return;
  }
  console.log(`Installing ${missing.length} Debian packages that the tests need`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run(['update', '-q'], env);
  if (run(install, env) !== 0) {
    console.error('apt-get failed: the tests that need these packages will be skipped and say so');
  }
}

if (process.argv[1] === import.meta.filename) installTestPackages();
