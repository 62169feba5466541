import { UportError } from '@uport/errors';
import type { ImageSettings } from '../plan/plan.ts';
import type { CarriedSetting, EmitRequest } from './emitter.ts';

/** How the command line spells them. */
const FLAGS: Readonly<Record<CarriedSetting, string>> = {
  user: '--user',
  labels: '--label',
  exposedPorts: '--expose',
  volumes: '--volume',
  stopSignal: '--stop-signal',
  annotations: '--annotation',
};

/**
 * Refuses settings that none of the artifacts has a place for; warns of those that some have not.
 *
 * @throws UportError UPORT_SETTING_NOT_CARRIED
 */
export function checkCarried({
  emit,
  image = {},
  warn,
}: {
  readonly emit: readonly EmitRequest[];
  readonly image?: Partial<Pick<ImageSettings, CarriedSetting>>;
  readonly warn?: (message: string) => void;
}): void {
  const given = (Object.keys(FLAGS) as CarriedSetting[]).filter((name) => isGiven(image[name]));
  for (const name of given) {
    const without = emit.filter(({ cannotCarry }) => cannotCarry.includes(name));
    if (without.length === 0) continue;
    const names = without.map(({ emitter }) => emitter).join(', ');
    if (without.length < emit.length) {
      warn?.(`${FLAGS[name]} goes into the image only: ${names} has no place for it`);
      continue;
    }
    throw new UportError({
      code: 'UPORT_SETTING_NOT_CARRIED',
      category: 'usage',
      message: `${names} has no place for ${FLAGS[name]}: only an image has one`,
      hint: `leave ${FLAGS[name]} out, or add oci to --emit`,
    });
  }
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === '') return false;
  return typeof value !== 'object' || value === null || Object.keys(value).length > 0;
}
