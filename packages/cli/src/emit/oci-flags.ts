import { Flags } from '@oclif/core';
import { type OciOptions, oci, ociEmitter } from '@uport/core';
import { type EmitFlags, levelOf } from './emit-flags.ts';

const GROUP = 'IMAGE';

export const ociFlags = {
  name: ociEmitter.name,
  flags: {
    archive: Flags.boolean({
      summary: 'Write oci-archive.tar and docker-archive.tar too.',
      helpGroup: GROUP,
    }),
    sbom: Flags.boolean({
      summary: 'Attach SBOMs (SPDX and CycloneDX) to the image; --no-sbom leaves them out.',
      allowNo: true,
      default: true,
      helpGroup: GROUP,
    }),
    compression: Flags.option({
      summary: 'How layers are compressed.',
      options: ['gzip', 'zstd'] as const,
      default: 'gzip',
      helpGroup: GROUP,
    })(),
    tag: Flags.string({
      summary: 'A tag of the image in the layout.',
      multiple: true,
      multipleNonGreedy: true,
      default: ['latest'],
      helpValue: 'TAG',
      helpGroup: GROUP,
    }),
  },
  request(flags) {
    return oci({
      compression: flags.compression as OciOptions['compression'],
      tags: flags.tag as string[],
      archive: flags.archive === true,
      sbom: flags.sbom !== false,
      ...levelOf(flags),
    });
  },
} satisfies EmitFlags;
