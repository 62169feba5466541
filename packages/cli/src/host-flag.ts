import { Flags } from '@oclif/core';
import { type Arch, parseArch } from '@uport/core/model';

/** `--host amd64,arm64`, repeatable. */
export const hostFlag = Flags.custom<Arch>({
  summary:
    'A CPU that it must run on, by any usual name. Default: amd64, arm64, riscv64, ppc64le and s390x.',
  helpValue: 'CPU',
  multiple: true,
  multipleNonGreedy: true,
  delimiter: ',',
  parse: async (spelling) => parseArch(spelling),
});
