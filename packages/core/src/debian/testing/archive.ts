import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { PrivateKey } from 'openpgp';
import { Header } from 'tar';

/** A package of a made-up archive. */
export interface FakePackage {
  readonly name: string;
  readonly version: string;
  readonly source?: string;
  readonly depends?: string;
  /** By path. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export interface FakeSuite {
  readonly codename: string;
  readonly suite?: string;
  readonly date?: Date;
  readonly validUntil?: Date;
  readonly byHash?: boolean;
  /** By Debian's name of the architecture. */
  readonly packages: Readonly<Record<string, readonly FakePackage[]>>;
}

/** The clock of made-up archives. */
export const NOW = new Date('2026-03-01T12:00:00Z');

/** A key like those that sign Debian's archive. */
export async function makeKey(
  options: { readonly date?: Date; readonly keyExpirationTime?: number } = {},
): Promise<{ readonly privateKey: PrivateKey; readonly armored: string }> {
  const { generateKey, readPrivateKey } = await import('openpgp');
  const { privateKey, publicKey } = await generateKey({
    userIDs: [{ name: 'Test Archive', email: 'archive@example.org' }],
    format: 'armored',
    date: new Date('2026-01-01T00:00:00Z'),
    ...options,
  });
  return {
    privateKey: await readPrivateKey({ armoredKey: privateKey }),
    armored: publicKey,
  };
}

export async function signInline(text: string, key: PrivateKey, date = NOW): Promise<string> {
  const { createCleartextMessage, sign } = await import('openpgp');
  const message = await createCleartextMessage({ text });
  return sign({ message, signingKeys: key, date });
}

/** Every file of an archive with these suites, by path below the mirror. */
export async function makeArchive(
  suites: readonly FakeSuite[],
  key: PrivateKey,
): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const suite of suites) {
    const { lines, indexes } = makeIndexes(suite, files);
    const folder = `dists/${suite.codename}`;
    for (const [path, bytes] of indexes) {
      files.set(`${folder}/${path}`, bytes);
      if (suite.byHash !== false) {
        const name = path.replace(/[^/]*$/, `by-hash/SHA256/${sha256(bytes)}`);
        files.set(`${folder}/${name}`, bytes);
      }
    }
    const release = releaseText(suite, lines);
    files.set(`${folder}/InRelease`, Buffer.from(await signInline(release, key)));
  }
  return files;
}

function makeIndexes(
  suite: FakeSuite,
  files: Map<string, Buffer>,
): { readonly lines: readonly string[]; readonly indexes: ReadonlyMap<string, Buffer> } {
  const lines: string[] = [];
  const indexes = new Map<string, Buffer>();
  for (const [architecture, packages] of Object.entries(suite.packages)) {
    const stanzas = packages.map((each) => {
      const about = [
        `Package: ${each.name}`,
        ...(each.source ? [`Source: ${each.source}`] : []),
        `Version: ${each.version}`,
        `Architecture: ${architecture}`,
      ];
      const deb = makeDeb(each.files, packGzip, `${about.join('\n')}\n`);
      const poolPath = `pool/main/${each.name}_${each.version.replace(/^\d+:/, '')}_${architecture}.deb`;
      files.set(poolPath, deb);
      return [
        ...about,
        ...(each.depends ? [`Depends: ${each.depends}`] : []),
        `Filename: ${poolPath}`,
        `Size: ${deb.length}`,
        `SHA256: ${sha256(deb)}`,
        'Description: a test',
      ].join('\n');
    });
    const plain = Buffer.from(`${stanzas.join('\n\n')}\n`);
    const base = `main/binary-${architecture}/Packages`;
    const packed = gzipSync(plain);
    indexes.set(`${base}.gz`, packed);
    lines.push(` ${sha256(plain)} ${plain.length} ${base}`);
    lines.push(` ${sha256(packed)} ${packed.length} ${base}.gz`);
    const contents = gzipSync(contentsIndex(packages));
    const name = `main/Contents-${architecture}.gz`;
    indexes.set(name, contents);
    lines.push(` ${sha256(contents)} ${contents.length} ${name}`);
  }
  return { lines, indexes };
}

function contentsIndex(packages: readonly FakePackage[]): string {
  const lines = packages.flatMap(({ name, files }) =>
    Object.keys(files).map((path) => `${path.replace(/^\.\//, '')} libs/${name}\n`),
  );
  return [...new Set(lines)].sort().join('');
}

export function releaseText(suite: FakeSuite, lines: readonly string[]): string {
  const utc = (date: Date): string => date.toUTCString().replace('GMT', 'UTC');
  return [
    'Origin: Debian',
    `Suite: ${suite.suite ?? suite.codename}`,
    `Codename: ${suite.codename}`,
    `Date: ${utc(suite.date ?? new Date(NOW.getTime() - 3_600_000))}`,
    ...(suite.validUntil ? [`Valid-Until: ${utc(suite.validUntil)}`] : []),
    ...(suite.byHash === false ? [] : ['Acquire-By-Hash: yes']),
    `Architectures: ${Object.keys(suite.packages).join(' ')}`,
    'Components: main',
    'SHA256:',
    ...lines,
    '',
  ].join('\n');
}

/** A .deb with these files. */
export function makeDeb(
  files: Readonly<Record<string, Uint8Array>>,
  pack: (tar: Buffer) => { readonly suffix: string; readonly bytes: Buffer } = packGzip,
  about = 'Package: test\n',
): Buffer {
  const { suffix, bytes } = pack(makeTar(files));
  const control = gzipSync(makeTar({ './control': Buffer.from(about) }));
  return makeAr([
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', control],
    [`data.tar${suffix}`, bytes],
  ]);
}

export function packGzip(tar: Buffer): { readonly suffix: string; readonly bytes: Buffer } {
  return { suffix: '.gz', bytes: gzipSync(tar) };
}

export function packZstd(tar: Buffer): { readonly suffix: string; readonly bytes: Buffer } {
  return { suffix: '.zst', bytes: zstdCompressSync(tar) };
}

export function makeAr(members: readonly (readonly [name: string, bytes: Buffer])[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from('!<arch>\n')];
  for (const [name, bytes] of members) {
    const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`;
    parts.push(Buffer.from(header), bytes);
    if (bytes.length % 2 === 1) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

export function makeTar(files: Readonly<Record<string, Uint8Array>>): Buffer<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [path, bytes] of Object.entries(files)) {
    const block = Buffer.alloc(512);
    const header = new Header({ path, size: bytes.length, mode: 0o755, type: 'File' });
    if (header.encode(block, 0)) throw new Error(`${path} needs an extended header`);
    parts.push(block, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
