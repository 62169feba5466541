// Whether an app and what a build says of it fit a translator. Pure.
import { UportError } from '@uport/errors';
import type { App } from '../app/app.ts';
import type { TranslatorRule } from './rules.ts';

/** What only programs of the guest's CPU get. */
interface GuestOnly {
  readonly env: readonly string[];
  readonly libraries: readonly string[];
  readonly preload: readonly string[];
}

/**
 * @param warn told when the app itself will be QEMU's
 * @throws UportError UPORT_EMULATOR_SETTINGS
 */
export function checkTranslated(
  chosen: ReadonlyMap<string, TranslatorRule>,
  app: App,
  guest: GuestOnly,
  warn: ((message: string) => void) | undefined,
): void {
  const rule = [...chosen.values()][0];
  if (rule === undefined) return;
  const { env, libraries, preload } = guest;
  if (env.length + libraries.length + preload.length > 0) {
    throw new UportError({
      code: 'UPORT_EMULATOR_SETTINGS',
      category: 'usage',
      message: `${rule.kind} gives its own environment to every program, and --guest-env, --lib and --preload are for programs of the guest's CPU alone`,
      hint: 'leave --emulator out, or use --env and libraries in their own places',
    });
  }
  const { interpreter } = app;
  if (rule.interpreters.some((end) => interpreter?.endsWith(end))) return;
  const what = interpreter === undefined ? 'is static' : `names the loader ${interpreter}`;
  warn?.(
    `${app.name} ${what}: ${rule.kind} runs ${rule.programs}, so QEMU will run it; ${rule.kind} will run such programs that it starts`,
  );
}
