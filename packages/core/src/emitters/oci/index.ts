import path from 'node:path';
import { noPlatform } from '../../plan/arch-matrix.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Artifact, EmitContext, Emitter } from '../emitter.ts';
import { type Output, stage } from '../staging.ts';
import { writeDockerArchive, writeOciArchive } from './archives.ts';
import { writeLayout } from './layout-writer.ts';
import { checkOptions, type OciOptions } from './options.ts';

export { DEFAULT_OCI_OPTIONS, type OciOptions } from './options.ts';

/**
 * A multi-arch image as an OCI image layout (image-spec 1.1) in `outDir/oci`, and as
 * `oci-archive.tar` and `docker-archive.tar` if asked for.
 *
 * @throws UportError UPORT_OCI_TAG_INVALID, UPORT_OCI_LEVEL_INVALID, UPORT_OCI_NO_PLATFORM,
 * UPORT_OCI_WHITEOUT_NAME, UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED, UPORT_OUTPUT_IN_THE_WAY
 */
export const ociEmitter: Emitter<OciOptions> = Object.freeze({
  name: 'oci',
  summary: 'multi-arch container image (OCI image layout)',
  refuseHost: noPlatform,
  emit,
});

const LAYOUT: Output = {
  name: 'oci',
  kind: 'folder',
  marker: 'oci-layout',
  what: 'image layout',
};
const ARCHIVES = [
  { name: 'oci-archive.tar', kind: 'file', write: writeOciArchive },
  { name: 'docker-archive.tar', kind: 'file', write: writeDockerArchive },
] as const;

async function emit(
  plan: Plan,
  options: OciOptions,
  context: EmitContext,
): Promise<readonly Artifact[]> {
  checkOptions(options);
  const archives = options.archive ? ARCHIVES : [];
  return stage(context.outDir, [LAYOUT, ...archives], async (staging) => {
    const folder = path.join(staging, LAYOUT.name);
    const layout = await writeLayout(folder, plan, options, context);
    const artifacts: Artifact[] = [
      artifact(context, LAYOUT.name, layout.index.digest, layout.size),
    ];
    for (const { name, write } of archives) {
      const inputs = { folder, layout, plan, options, context };
      const { digest, size } = await write(path.join(staging, name), inputs);
      artifacts.push(artifact(context, name, digest, size));
    }
    return artifacts;
  });
}

function artifact({ outDir }: EmitContext, name: string, digest: string, size: number): Artifact {
  return { emitter: 'oci', path: path.resolve(outDir, name), digest, size };
}
