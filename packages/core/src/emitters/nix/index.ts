import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Arch } from '../../model/arch.ts';
import { placeOf, rangeOf } from '../../model/content.ts';
import type { NixHash } from '../../nix/hash.ts';
import type { NarChild, NarFile, NarNode } from '../../nix/nar-node.ts';
import { writeNar } from '../../nix/nar-writer.ts';
import { addToBinaryCache } from '../../nix-cache/add-to-cache.ts';
import { openCache } from '../../nix-cache/open-cache.ts';
import type { Plan } from '../../plan/plan.ts';
import { temporaryName } from '../../store/temporary.ts';
import { withParts } from '../../universal/container.ts';
import { payloadOptions } from '../../universal/programs.ts';
import { universalFile } from '../../universal/universal-file.ts';
import { writePayload } from '../../universal/write-payload.ts';
import { type Artifact, type EmitContext, type Emitter, ONLY_IN_IMAGES } from '../emitter.ts';
import { type Output, stage } from '../staging.ts';
import { NAR_NAME, nixFiles } from './files.ts';
import { checkOptions, type NixOptions } from './options.ts';
import { type PackageFacts, packageFacts, storePathOf } from './package-facts.ts';

export { DEFAULT_NIX_OPTIONS, type NixOptions } from './options.ts';

/**
 * A Nix package and flake without inputs in `outDir/nix`: `bin/<app>` is a universal file
 * (docs/formats/universal.md), so one store path serves every host. With a URL the NAR goes to
 * `outDir/universal.nar` in place of the folder. A binary cache, if one is named, gets it too.
 *
 * @throws UportError UPORT_NIX_LICENSE_INVALID, UPORT_NIX_URL_INVALID, UPORT_NIX_NO_SYSTEM,
 * UPORT_NIX_STRING_INVALID, UPORT_NO_LAUNCHER, UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED,
 * UPORT_BIN_NOT_FOUND, UPORT_NAR_NAME_INVALID, UPORT_OUTPUT_IN_THE_WAY
 */
export const nixEmitter: Emitter<NixOptions> = Object.freeze({
  name: 'nix',
  summary: 'a Nix package and flake, one store path for every host',
  cannotCarry: ONLY_IN_IMAGES,
  refuseHost: ({ name, nix }: Arch) =>
    nix === undefined ? `Nix has no name for ${name}` : undefined,
  emit,
});

const FOLDER: Output = {
  name: 'nix',
  kind: 'folder',
  marker: 'universal.nix',
  what: 'Nix package of ours',
};
const NAR: Output = { name: NAR_NAME, kind: 'file' };

async function emit(
  plan: Plan,
  options: NixOptions,
  context: EmitContext,
): Promise<readonly Artifact[]> {
  checkOptions(options);
  const facts = packageFacts(plan, options);
  const cache = options.cache === undefined ? undefined : await openCache(options.cache);
  // Texts that Nix cannot hold show before the long work begins.
  nixFiles(facts, { algorithm: 'sha256', bytes: new Uint8Array(32) });
  const payload = await writePayload(plan, payloadOptions(plan, options), context);
  const apart = facts.url !== undefined;
  return stage(context.outDir, apart ? [FOLDER, NAR] : [FOLDER], async (staging) => {
    const folder = path.join(staging, FOLDER.name);
    await mkdir(folder);
    const nar = path.join(apart ? staging : folder, NAR_NAME);
    const written = await withParts(plan, payload, context, async (launchers, trailing) => {
      const { size, chunks } = await universalFile(payload, launchers, trailing);
      const program: NarFile = {
        type: 'file',
        executable: true,
        size,
        open: () => chunks(context.signal),
      };
      return writeNarFile(nar, packageTree(facts, program, noticeFile(plan, context)), context);
    });
    let size = apart ? 0 : written.size;
    for (const [name, text] of nixFiles(facts, written.hash)) {
      await writeFile(path.join(folder, name), text, { mode: 0o644 });
      size += Buffer.byteLength(text);
    }
    const digest = `sha256:${Buffer.from(written.hash.bytes).toString('hex')}`;
    const artifact = (place: string, size: number): Artifact => {
      return { emitter: 'nix', path: path.resolve(context.outDir, place), digest, size };
    };
    const artifacts = [artifact(FOLDER.name, size)];
    if (apart) artifacts.push(artifact(NAR.name, written.size));
    if (cache !== undefined) {
      const { narinfo, fileSize } = await addToBinaryCache(
        cache.transport,
        { storePath: storePathOf(facts, written.hash), nar, ...written },
        {
          ...(options.cacheKey && { key: options.cacheKey }),
          ...(options.level !== undefined && { level: options.level }),
          temporary: path.join(context.store.root, 'tmp', temporaryName()),
          signal: context.signal,
        },
      );
      const place = cache.transport.place?.(narinfo) ?? `${cache.transport.url}/${narinfo}`;
      artifacts.push({ ...artifact('', fileSize), path: place });
    }
    return artifacts;
  });
}

/** Licences and source of what travels with the app, for people who look at the package. */
function noticeFile({ notice }: Plan, { content, signal }: EmitContext): NarFile | undefined {
  if (notice === undefined) return undefined;
  const file = content.locate(notice.digest);
  if (file === undefined) {
    throw new UportError({
      code: 'UPORT_CONTENT_MISSING',
      category: 'input',
      message: `no file with the digest ${notice.digest} is at hand (the notice)`,
      hint: 'build again: the store may have been cleared meanwhile',
    });
  }
  const place = placeOf(file);
  return {
    type: 'file',
    executable: false,
    size: notice.size,
    open: () => createReadStream(place.file, { ...rangeOf(place), signal }),
  };
}

/** `bin/` with the program and links to it by its other names, and the notice below `share/doc/`. */
function packageTree(
  { pname, programs }: PackageFacts,
  program: NarFile,
  notice: NarFile | undefined,
): NarNode {
  const [main, ...links] = programs.map((name) => Buffer.from(name, 'utf8').toString('latin1'));
  const children: NarChild[] = [
    { name: main as string, node: () => program },
    ...links.map(
      (name): NarChild => ({
        name,
        node: () => ({ type: 'symlink', target: main as string }),
      }),
    ),
  ];
  const folder = (name: string, list: readonly NarChild[]): NarChild => {
    return { name, node: () => directory(list) };
  };
  const doc = notice && folder(pname, [{ name: 'NOTICE', node: () => notice }]);
  return directory([
    folder('bin', children),
    ...(doc ? [folder('share', [folder('doc', [doc])])] : []),
  ]);
}

function directory(children: readonly NarChild[]): NarNode {
  return { type: 'directory', list: () => children };
}

async function writeNarFile(
  place: string,
  tree: NarNode,
  { signal }: EmitContext,
): Promise<{ readonly hash: NixHash; readonly size: number }> {
  const sha256 = createHash('sha256');
  let size = 0;
  const file = await open(place, 'wx', 0o644);
  try {
    for await (const chunk of writeNar(tree, { signal })) {
      sha256.update(chunk);
      size += chunk.length;
      await file.writeFile(chunk);
    }
    await file.chmod(0o644);
  } finally {
    await file.close();
  }
  return { hash: { algorithm: 'sha256', bytes: Uint8Array.from(sha256.digest()) }, size };
}
