import { Args } from '@oclif/core';
import { EXIT_STATUS } from '@uport/core/model';
import { validateArtifact } from '@uport/core/validate';
import { BaseCommand } from '../base-command.ts';

export default class Validate extends BaseCommand {
  static override summary = 'Check an artifact: every digest, size and platform.';

  static override description =
    'Recomputes everything and reports all faults at once. Ends with 6 when there are any.';

  static override examples = [
    '<%= config.bin %> validate dist/oci',
    '<%= config.bin %> validate dist/app.fatelf',
  ];

  static override args = {
    artifact: Args.string({
      ignoreStdin: true,
      description: 'an OCI image layout folder, a universal or a FatELF file',
      required: true,
    }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(Validate);
    const { kind, faults } = await validateArtifact(args.artifact, {
      signal: this.signal,
      progress: this.progress,
    });
    for (const fault of faults) this.log(`${fault.code}  ${fault.where}: ${fault.message}`);
    if (faults.length > 0) process.exitCode = EXIT_STATUS.validation;
    else this.log(`${args.artifact}: no faults`);
    return { artifact: args.artifact, kind, faults };
  }
}
