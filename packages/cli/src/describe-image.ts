import { type BuildImageResult, parseArch, platformName } from '@uport/core';

/** A line for each platform, for people. */
export function describeImage({ plan }: Pick<BuildImageResult, 'plan'>): readonly string[] {
  return [
    ...plan.kept.map(({ platform, digest }) => `${platform.padEnd(16)} kept        ${digest}`),
    ...plan.added.map(({ host: { host, way, emulator }, from }) => {
      const { oci } = parseArch(host);
      const platform = oci ? platformName(oci) : host;
      return `${platform.padEnd(16)} ${way.padEnd(11)} ${from.platform} by qemu-${emulator.guest} ${emulator.version}`;
    }),
  ];
}
