import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface BuildRequest {
  readonly input: string;
  readonly outDir: string;
  readonly cwd?: string;
  readonly umask?: number;
  /** On top of the environment that the builder itself needs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a build ended; `error` is the stable code, if it failed. */
export interface BuildOutcome {
  readonly status: number;
  readonly error?: string;
}

/** What the suite needs of an emitter: a way to build with it. */
export interface EmitterUnderTest {
  build(request: BuildRequest): Promise<BuildOutcome>;
  /** A 64-bit little-endian program that it builds well: the `probe` fixture. */
  readonly program: string;
}

export interface BuildingCase {
  readonly name: string;
  /**
   * @param folder an empty folder of the case's own
   * @throws AssertionError
   */
  check(emitter: EmitterUnderTest, folder: string): Promise<void>;
}

async function builds(emitter: EmitterUnderTest, request: BuildRequest): Promise<string> {
  assert.deepEqual(await emitter.build(request), { status: 0 });
  return treeDigest(request.outDir);
}

function reproducible(
  name: string,
  other: (emitter: EmitterUnderTest, folder: string) => Promise<Partial<BuildRequest>>,
): BuildingCase {
  return {
    name: `the same bytes with ${name}`,
    async check(emitter, folder) {
      const request = { input: emitter.program, outDir: path.join(folder, 'out') };
      const first = await builds(emitter, request);
      const changed = {
        ...request,
        outDir: path.join(folder, 'again'),
        ...(await other(emitter, folder)),
      };
      assert.equal(await builds(emitter, changed), first);
    },
  };
}

function refuses(
  name: string,
  outcome: Required<BuildOutcome>,
  make: (input: string, emitter: EmitterUnderTest) => Promise<void>,
): BuildingCase {
  return {
    name: `${name} is refused with ${outcome.error}, and nothing is left behind`,
    async check(emitter, folder) {
      const input = path.join(folder, 'input');
      await make(input, emitter);
      const outDir = path.join(folder, 'out');
      assert.deepEqual(await emitter.build({ input, outDir }), outcome);
      assert.deepEqual(await readdir(folder), ['input']);
    },
  };
}

/** Changes bytes of a copy of the program. */
function damaged(change: (bytes: Buffer) => Buffer) {
  return async (input: string, emitter: EmitterUnderTest) =>
    writeFile(input, change(await readFile(emitter.program)));
}

/** The program header table's offset, of a 64-bit little-endian program. */
function programHeaders(bytes: Buffer): number {
  return Number(bytes.readBigUInt64LE(32));
}

/** What every emitter must do with good and bad input. */
export const BUILDING_CASES: readonly BuildingCase[] = Object.freeze([
  reproducible(
    'another working folder, name of the output folder, umask, time zone and language',
    async (_, folder) => {
      const cwd = path.join(folder, 'elsewhere');
      await mkdir(cwd);
      const env = { TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' };
      return { cwd, umask: 0o077, env };
    },
  ),
  reproducible(
    'the program in another folder, with another date and a narrow mode',
    async (emitter, folder) => {
      const input = path.join(folder, 'other', path.basename(emitter.program));
      await cp(emitter.program, input);
      await chmod(input, 0o700);
      return { input };
    },
  ),
  {
    name: 'a second build over the first replaces it',
    async check(emitter, folder) {
      const request = { input: emitter.program, outDir: path.join(folder, 'out') };
      const first = await builds(emitter, request);
      assert.equal(await builds(emitter, request), first);
    },
  },
  refuses('an empty file', { status: 3, error: 'UPORT_ELF_NOT_ELF' }, (input) =>
    writeFile(input, ''),
  ),
  refuses('a text', { status: 3, error: 'UPORT_ELF_NOT_ELF' }, (input) =>
    writeFile(input, 'not a program\n'),
  ),
  refuses(
    'half an ELF header',
    { status: 3, error: 'UPORT_ELF_TRUNCATED' },
    damaged((bytes) => bytes.subarray(0, 30)),
  ),
  refuses(
    'half a program',
    { status: 3, error: 'UPORT_ELF_TRUNCATED' },
    damaged((bytes) => bytes.subarray(0, bytes.length >> 1)),
  ),
  refuses(
    'a program header table past the end',
    { status: 3, error: 'UPORT_ELF_OUT_OF_BOUNDS' },
    damaged((bytes) => {
      bytes.writeBigUInt64LE(1n << 40n, 32);
      return bytes;
    }),
  ),
  refuses(
    'a segment past the end',
    { status: 3, error: 'UPORT_ELF_OUT_OF_BOUNDS' },
    damaged((bytes) => {
      const size = bytes.readUInt16LE(54);
      const end = programHeaders(bytes) + size * bytes.readUInt16LE(56);
      for (let at = programHeaders(bytes); at < end; at += size) {
        bytes.writeBigUInt64LE(1n << 50n, at + 8);
      }
      return bytes;
    }),
  ),
  refuses(
    'a CPU that nobody knows',
    { status: 3, error: 'UPORT_GUEST_UNKNOWN' },
    damaged((bytes) => {
      bytes.writeUInt16LE(0x1234, 18);
      return bytes;
    }),
  ),
  refuses(
    'an object file',
    { status: 3, error: 'UPORT_ELF_NOT_A_PROGRAM' },
    damaged((bytes) => {
      bytes.writeUInt16LE(1, 16);
      return bytes;
    }),
  ),
  refuses(
    'a folder without a name of the program',
    { status: 2, error: 'UPORT_ENTRYPOINT_MISSING' },
    async (input) => {
      await mkdir(input);
    },
  ),
]);

/** A digest of a folder's names, types and contents. */
export async function treeDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const visit = async (place: string, name: string) => {
    const info = await lstat(place);
    hash.update(
      JSON.stringify([name, info.mode & constants.S_IFMT, info.isFile() ? info.size : 0]),
    );
    if (info.isSymbolicLink()) hash.update(await readlink(place));
    else if (info.isFile()) for await (const chunk of createReadStream(place)) hash.update(chunk);
    else
      for (const each of (await readdir(place)).sort())
        await visit(path.join(place, each), `${name}/${each}`);
  };
  await visit(folder, '.');
  return hash.digest('hex');
}
