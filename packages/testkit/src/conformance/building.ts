import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { constants, createReadStream, existsSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, readlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

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
  /** A program that it builds well: the `probe` fixture. */
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
  code: string,
  make: (input: string, emitter: EmitterUnderTest) => Promise<void>,
): BuildingCase {
  return {
    name: `${name} is refused with ${code}, and nothing is left behind`,
    async check(emitter, folder) {
      const input = path.join(folder, 'input');
      await make(input, emitter);
      const outDir = path.join(folder, 'out');
      assert.deepEqual(await emitter.build({ input, outDir }), { status: 3, error: code });
      assert.equal(existsSync(outDir), false);
    },
  };
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
  refuses('an empty file', 'UPORT_ELF_NOT_ELF', (input) => writeFile(input, '')),
  refuses('a text', 'UPORT_ELF_NOT_ELF', (input) => writeFile(input, 'not a program\n')),
  refuses('half an ELF header', 'UPORT_ELF_TRUNCATED', async (input, emitter) => {
    await cp(emitter.program, input);
    await truncate(input, 30);
  }),
  refuses('an empty folder', 'UPORT_ENTRYPOINT_MISSING', async (input) => {
    await mkdir(input);
  }),
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
    else if (info.isFile()) await pipeline(createReadStream(place), hash, { end: false });
    else
      for (const each of (await readdir(place)).sort())
        await visit(path.join(place, each), `${name}/${each}`);
  };
  await visit(folder, '.');
  return hash.digest('hex');
}
