import { Args, Flags } from '@oclif/core';
import { readPlan, SBOM_FORMATS, sbomOf } from '@uport/core/sbom';
import { BaseCommand } from '../base-command.ts';

export default class Sbom extends BaseCommand {
  static override summary = 'Print what travels in the artifacts of a build, for scanners.';

  static override description =
    'Emulators and Debian packages with their versions and package URLs, launchers with what is linked into them, and the files of the app with their digests. Reads the plan.json that a build leaves beside its artifacts.';

  static override examples = [
    '<%= config.bin %> sbom dist > app.spdx.json',
    '<%= config.bin %> sbom dist/app --format cyclonedx > app.cdx.json',
  ];

  static override args = {
    artifact: Args.string({
      ignoreStdin: true,
      description: 'the folder that uport build wrote to, or an artifact in it',
      default: 'dist',
    }),
  };

  static override flags = {
    format: Flags.option({
      summary: 'SPDX 2.3 or CycloneDX 1.6, in JSON.',
      options: SBOM_FORMATS,
      default: 'spdx',
    })(),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Sbom);
    const text = sbomOf(await readPlan(args.artifact), flags.format).toString('utf8');
    this.log(text.trimEnd());
    return JSON.parse(text);
  }
}
