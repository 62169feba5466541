import os from 'node:os';
import { UportError } from '@uport/errors';
import { type Arch, findArch } from '../model/arch.ts';

/**
 * The CPU of this machine.
 *
 * @throws UportError UPORT_NOT_LINUX
 */
export function hostArch(): Arch {
  const arch = os.platform() === 'linux' ? findArch(os.machine()) : undefined;
  if (arch !== undefined) return arch;
  throw new UportError({
    code: 'UPORT_NOT_LINUX',
    category: 'environment',
    message: `programs run on Linux only; this is ${os.platform()} on ${os.machine()}`,
    hint: 'build here and run the artifact on a Linux machine',
  });
}
