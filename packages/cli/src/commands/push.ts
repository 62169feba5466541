import { Args, Flags } from '@oclif/core';
import { pushLayout } from '@uport/core';
import { BaseCommand } from '../base-command.ts';
import { describePush } from '../describe-push.ts';
import { pushFlags } from '../shared-flags.ts';

export default class Push extends BaseCommand {
  static override summary = 'Push an image layout to a registry.';

  static override description =
    "Credentials come from Docker's config.json, as docker login writes it. Only what the registry lacks is sent.";

  static override examples = ['<%= config.bin %> push dist/oci registry.example/team/app:1.0'];

  static override args = {
    layout: Args.string({
      ignoreStdin: true,
      description: 'an OCI image layout folder',
      required: true,
    }),
    reference: Args.string({ ignoreStdin: true, description: 'REGISTRY/REPO:TAG', required: true }),
  };

  static override flags = {
    ...pushFlags,
    sbom: Flags.boolean({
      summary: 'Push what is attached to the image, such as SBOMs; --no-sbom leaves it out.',
      allowNo: true,
      default: true,
      helpGroup: 'PUSH',
    }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Push);
    const result = await pushLayout({
      layout: args.layout,
      reference: args.reference,
      insecure: flags.insecure,
      sbom: flags.sbom,
      ...(flags['mount-from'] && { mountFrom: flags['mount-from'] }),
      progress: this.progress,
      signal: this.signal,
    });
    this.log(describePush(result));
    return result;
  }
}
