import { freeing } from '../../memory.ts';
import type { Plan } from '../../plan/plan.ts';
import { glueContainer, withParts } from '../../universal/container.ts';
import { payloadOptions } from '../../universal/programs.ts';
import { writeExecutable } from '../../universal/write-executable.ts';
import { writePayload } from '../../universal/write-payload.ts';
import { type Artifact, type EmitContext, type Emitter, ONLY_IN_IMAGES } from '../emitter.ts';

export interface FatelfOptions {
  /** Programs by the name they are called by; the first is the default. None: the app's own. */
  readonly bins: Readonly<Record<string, string>>;
  /** zstd's level, 1 to 19. */
  readonly level?: number;
}

export const DEFAULT_FATELF_OPTIONS: FatelfOptions = Object.freeze({ bins: Object.freeze({}) });

/**
 * A FatELF file with a record for every host (docs/formats/universal.md), in `outDir/<app>.fatelf`.
 *
 * @throws UportError UPORT_NO_LAUNCHER, UPORT_CONTENT_MISSING, UPORT_INPUT_CHANGED,
 * UPORT_BIN_NOT_FOUND, UPORT_OUTPUT_IN_THE_WAY
 */
export const fatelfEmitter: Emitter<FatelfOptions> = Object.freeze({
  name: 'fatelf',
  summary: 'a FatELF file with a record for every host',
  cannotCarry: ONLY_IN_IMAGES,
  emit: async (
    plan: Plan,
    options: FatelfOptions,
    context: EmitContext,
  ): Promise<readonly Artifact[]> => {
    const payload = await writePayload(plan, payloadOptions(plan, options), context);
    return withParts(plan, payload, context, async (launchers, trailing) => {
      const container = await glueContainer(launchers, trailing);
      const name = `${plan.app.name}.fatelf`;
      return [
        await writeExecutable('fatelf', name, freeing(container.chunks(context.signal)), context),
      ];
    });
  },
});
