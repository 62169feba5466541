import { Flags } from '@oclif/core';
import type { LoadedConfig } from '@uport/core/config';
import { UportError } from '@uport/core/model';

const GROUP = 'CONFIGURATION';

export const configFlag = Flags.custom<string>({
  summary: 'The configuration to use. Default: uport.config.* of this folder.',
  helpValue: 'FILE',
  helpGroup: GROUP,
});

export const frozenFlag = Flags.boolean({
  summary:
    'Fail when an emulator or package is not as uport.lock says; with a warm store no network is needed.',
  default: false,
  helpGroup: GROUP,
});

/** The named configuration, or that of the working folder. */
export async function readConfig(file: string | undefined): Promise<LoadedConfig | undefined> {
  const { findConfig, loadConfig } = await import('@uport/core/config');
  const found = file ?? (await findConfig(process.cwd()));
  return found === undefined ? undefined : loadConfig(found);
}

export function noConfig(what: string): UportError {
  return new UportError({
    code: 'UPORT_CONFIG_MISSING',
    category: 'usage',
    message: `${what}, and there is no uport.config file here`,
    hint: 'name an input, or make a configuration with uport init',
  });
}
