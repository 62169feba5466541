import { freeing } from '../../memory.ts';
import type { HostPlan, Plan } from '../../plan/plan.ts';
import { concat, streamSource } from '../../universal/byte-streams.ts';
import { withParts } from '../../universal/container.ts';
import { payloadOptions } from '../../universal/programs.ts';
import { universalFile } from '../../universal/universal-file.ts';
import { writeExecutable } from '../../universal/write-executable.ts';
import { writePayload } from '../../universal/write-payload.ts';
import { type Artifact, type EmitContext, type Emitter, ONLY_IN_IMAGES } from '../emitter.ts';

export interface UniversalOptions {
  /** One plain ELF file for each host, `APP-<host>`, in place of the one file for all. */
  readonly perHost: boolean;
  /** Programs by the name they are called by; the first is the default. None: the app's own. */
  readonly bins: Readonly<Record<string, string>>;
  /** zstd's level, 1 to 19. */
  readonly level?: number;
}

export const DEFAULT_UNIVERSAL_OPTIONS: UniversalOptions = Object.freeze({
  perHost: false,
  bins: Object.freeze({}),
});

/**
 * One self-running file for every host (docs/formats/universal.md), in `outDir/<app>`.
 *
 * @throws UportError UPORT_NO_LAUNCHER, UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED,
 * UPORT_BIN_NOT_FOUND, UPORT_OUTPUT_IN_THE_WAY
 */
export const universalEmitter: Emitter<UniversalOptions> = Object.freeze({
  name: 'universal',
  summary: 'one self-running file for every host',
  cannotCarry: ONLY_IN_IMAGES,
  emit: emitUniversal,
});

async function emitUniversal(
  plan: Plan,
  options: UniversalOptions,
  context: EmitContext,
): Promise<readonly Artifact[]> {
  const { signal } = context;
  if (options.perHost) {
    const artifacts: Artifact[] = [];
    for (const host of plan.hosts) {
      const own = planOf(plan, host);
      const payload = await writePayload(own, payloadOptions(plan, options), context);
      artifacts.push(
        await withParts(own, payload, context, ([launcher], trailing) => {
          const sources = [...(launcher ? [launcher.source] : []), trailing];
          const chunks = concat(sources.map((source) => streamSource(source, signal)));
          const name = `${plan.app.name}-${host.host}`;
          return writeExecutable('universal', name, freeing(chunks), context);
        }),
      );
    }
    return artifacts;
  }
  const payload = await writePayload(plan, payloadOptions(plan, options), context);
  return withParts(plan, payload, context, async (launchers, trailing) => {
    const chunks = (await universalFile(payload, launchers, trailing)).chunks(signal);
    return [await writeExecutable('universal', plan.app.name, chunks, context)];
  });
}

/** The same for one host: a file for it carries the emulators of no other. */
function planOf(plan: Plan, host: HostPlan): Plan {
  const { notice: _, ...rest } = plan;
  return { ...rest, hosts: [host], ...(host.notice && { notice: host.notice }) };
}
