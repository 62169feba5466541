// Builds the launcher for every host CPU into prebuilt/, the same bytes in any folder, on Debian 12.
//
//   node scripts/build.mjs            build and replace prebuilt/
//   node scripts/build.mjs --check    build elsewhere and compare with prebuilt/
//   --host NAME                       only this host (repeatable)
//   --mirror URL                      Debian mirror; default $UPORT_DEBIAN_MIRROR, then apt's own
//   --strict                          with --check: a missing toolchain is a failure too
//
// scripts/toolchain.lock.json pins the compilers' versions, and the digests of the musl packages and
// of zstd's sources.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const prebuilt = join(root, 'prebuilt');
const cache = join(root, '.cache');
const lock = JSON.parse(readFileSync(join(root, 'scripts/toolchain.lock.json'), 'utf8'));

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
    host: { type: 'string', multiple: true, default: [] },
    mirror: { type: 'string' },
  },
});

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function run(command, args, extra = {}) {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...extra,
  });
}

const start = promisify(execFile);

/** The version of an installed Debian package, or undefined. */
function installedVersion(name) {
  try {
    const fields = run('dpkg-query', ['--status', name]);
    if (!/^Status: .* installed$/m.test(fields)) return undefined;
    return /^Version: (.*)$/m.exec(fields)?.[1];
  } catch {
    return undefined;
  }
}

/** What stands between this machine and the locked toolchain of one host. */
function toolchainGaps(host) {
  const gaps = { missing: [], other: [] };
  for (const [name, version] of Object.entries(lock.hosts[host].packages)) {
    const found = installedVersion(name);
    if (found === undefined) gaps.missing.push(`${name}=${version}`);
    else if (found !== version) gaps.other.push(`${name} is ${found}, locked is ${version}`);
  }
  for (const tool of ['make', 'xz']) {
    if (!existsSync(`/usr/bin/${tool}`)) gaps.missing.push(tool === 'xz' ? 'xz-utils' : tool);
  }
  return gaps;
}

function aptMirrors() {
  try {
    const uris = run('apt-get', [
      'indextargets',
      '--format',
      '$(REPO_URI)',
      'Created-By: Packages',
    ]);
    return [...new Set(uris.split('\n'))].filter((uri) => /\/debian\/?$/.test(uri));
  } catch {
    return [];
  }
}

class NotFetched extends Error {}

const fetched = new Map();

/** A file of Debian's archive, from the cache or the first place that has these very bytes. */
function fetchPinned(pin) {
  const known = fetched.get(pin.path) ?? fetchFile(pin);
  fetched.set(pin.path, known);
  return known;
}

async function fetchFile({ path, size, sha256: digest, sha1 }) {
  const file = join(cache, path.split('/').at(-1));
  if (existsSync(file) && sha256(readFileSync(file)) === digest) return file;
  const mirror = options.mirror ?? process.env.UPORT_DEBIAN_MIRROR;
  const urls = (mirror ? [mirror] : aptMirrors()).map(
    (base) => `${base.replace(/\/$/, '')}/${path}`,
  );
  urls.push(`https://snapshot.debian.org/file/${sha1}`);
  const faults = [];
  for (const url of urls) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      if (bytes.length !== size || sha256(bytes) !== digest)
        throw new Error('not the locked bytes');
      mkdirSync(cache, { recursive: true });
      writeFileSync(`${file}.${process.pid}.tmp`, bytes);
      renameSync(`${file}.${process.pid}.tmp`, file);
      return file;
    } catch (error) {
      faults.push(`  ${url}: ${error.cause?.message ?? error.message}`);
    }
  }
  throw new NotFetched(
    `${path} could not be fetched; name a mirror with --mirror\n${faults.join('\n')}`,
  );
}

/** Compiles for one host in a folder of its own; returns the launcher's bytes. */
async function build(host) {
  const { compiler, triplet, cflags, musl } = lock.hosts[host];
  const archive = await fetchPinned(musl);
  const sources = await fetchPinned(lock.zstd);
  const work = mkdtempSync(join(tmpdir(), 'uport-launcher-'));
  try {
    await start('dpkg-deb', ['-x', archive, join(work, 'musl')]);
    await start('tar', ['-xJf', sources, '-C', work, `${lock.zstd.folder}/lib`]);
    const common = [
      `HOST_CFLAGS=${cflags.join(' ')}`,
      `MUSL_INCLUDE=${join(work, 'musl/usr/include', musl.triplet)}`,
      `MUSL_LIB=${join(work, 'musl/usr/lib', musl.triplet)}`,
      `ZSTD=${join(work, lock.zstd.folder)}`,
      `OUT=${work}`,
    ];
    // Where Debian's musl was assembled with newer relocations than bookworm's GNU ld knows, or
    // bookworm has no gcc, clang and lld do it; nothing there calls libgcc.
    const tools =
      compiler === 'clang'
        ? [
            `CC=clang-19 --target=${triplet}`,
            'HOST_LDFLAGS=--ld-path=/usr/bin/ld.lld-19 -Wl,--strip-all',
            'LTO_CFLAGS=-flto',
            'LIBGCC=',
            'STRIP=',
          ]
        : [`CC=${triplet}-gcc-12`, `STRIP=${triplet}-strip`, 'HOST_LDFLAGS=-no-pie'];
    const { stdout, stderr } = await start('make', ['--silent', '-C', root, ...common, ...tools], {
      env: { PATH: process.env.PATH, LC_ALL: 'C', TMPDIR: work },
    });
    process.stderr.write(stdout + stderr);
    return readFileSync(join(work, 'launch'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function replaceFile(file, bytes, mode) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}.tmp`, bytes, { mode });
  renameSync(`${file}.${process.pid}.tmp`, file);
}

function readSums() {
  const file = join(prebuilt, 'SHA256SUMS');
  if (!existsSync(file)) return new Map();
  return new Map(
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line)
      .map((line) => [line.slice(66).replace(/\/launch$/, ''), line.slice(0, 64)]),
  );
}

function writeSums(sums) {
  const lines = [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, sum]) => `${sum}  ${host}/launch\n`);
  replaceFile(join(prebuilt, 'SHA256SUMS'), lines.join(''), 0o644);
}

/** Compares the committed launcher of a host with its checksum and with a new build. */
async function check(host, sums) {
  const file = join(prebuilt, host, 'launch');
  if (!existsSync(file)) return { fault: `prebuilt/${host}/launch is missing` };
  const committed = readFileSync(file);
  if (sha256(committed) !== sums.get(host))
    return { fault: `prebuilt/${host}/launch is not what SHA256SUMS says` };
  const gaps = toolchainGaps(host);
  if (gaps.missing.length > 0) return { missing: gaps.missing };
  let same = false;
  try {
    same = (await build(host)).equals(committed);
  } catch (error) {
    return error instanceof NotFetched ? { other: [error.message] } : { fault: error.message };
  }
  if (same) return { done: `rebuilt, the same ${committed.length} bytes` };
  if (gaps.other.length > 0) return { other: gaps.other };
  return {
    fault: `a new build differs from prebuilt/${host}/launch; run node scripts/build.mjs and commit the result`,
  };
}

const hosts = options.host.length > 0 ? options.host : Object.keys(lock.hosts);
for (const host of hosts) {
  if (!lock.hosts[host]) {
    console.error(
      `no host is called ${host}; the lock file has: ${Object.keys(lock.hosts).join(', ')}`,
    );
    process.exit(2);
  }
}

const sums = readSums();
const missing = new Set();
let failed = false;
if (options.check) await checkAll();
else await buildAll();
if (missing.size > 0) {
  console.error(`On Debian 12 (bookworm), this brings what is missing:`);
  console.error(`  apt-get install --no-install-recommends ${[...missing].sort().join(' ')}`);
}
process.exitCode = failed ? 1 : 0;

async function buildAll() {
  for (const host of hosts) {
    const gaps = toolchainGaps(host);
    if (gaps.missing.length > 0) {
      for (const name of gaps.missing) missing.add(name);
      console.error(`${host}: NOT BUILT, missing: ${gaps.missing.join(' ')}`);
      failed = true;
      continue;
    }
    if (gaps.other.length > 0) console.error(`${host}: note: ${gaps.other.join('; ')}`);
    let bytes;
    try {
      bytes = await build(host);
    } catch (error) {
      console.error(`${host}: NOT BUILT: ${error.message}`);
      failed = true;
      continue;
    }
    replaceFile(join(prebuilt, host, 'launch'), bytes, 0o755);
    sums.set(host, sha256(bytes));
    console.log(`${host}: ${bytes.length} bytes, sha256 ${sums.get(host)}`);
  }
  writeSums(sums);
}

/** As many at a time as there are processors; told in the order of the hosts. */
async function checkAll() {
  const queue = hosts.map((host, index) => ({ host, index }));
  const results = [];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift())
      results[next.index] = await check(next.host, sums);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  for (const [index, host] of hosts.entries()) {
    const result = results[index];
    if (result.done) console.log(`${host}: ${result.done}`);
    if (result.fault) console.error(`${host}: FAULT: ${result.fault}`);
    if (result.missing)
      console.error(`${host}: NOT REBUILT, checksum only; missing: ${result.missing.join(' ')}`);
    if (result.other)
      console.error(`${host}: NOT COMPARED, checksum only; ${result.other.join('; ')}`);
    for (const name of result.missing ?? []) missing.add(name);
    failed ||= Boolean(result.fault) || (options.strict && !result.done);
  }
}
