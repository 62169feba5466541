import { existsSync } from 'node:fs';
import path from 'node:path';
import { Flags } from '@oclif/core';
import { type Arch, parseArch, writeNixFlake } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { hostFlag } from '../../host-flag.ts';
import { emulatorsFlag, providersOf } from '../../shared-flags.ts';

export default class NixFlake extends BaseCommand {
  static override summary = 'Write a Nix flake that makes universal programs inside Nix builds.';

  static override description =
    'It has no inputs: this command, its Node and emulators lie in it, so its bundler, mkUniversal and mkImage need neither nixpkgs nor a network. It builds on systems of the CPU it was written on.';

  static override examples = [
    '<%= config.bin %> nix flake -o uport-nix   # then: nix bundle --bundler path:./uport-nix nixpkgs#hello',
    '<%= config.bin %> nix flake --guest riscv64,s390x --host amd64,arm64 -o uport-nix',
  ];

  static override flags = {
    guest: Flags.custom<Arch>({
      summary: "A CPU of the programs that it will build from. Default: this machine's.",
      helpValue: 'CPU',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      parse: async (spelling) => parseArch(spelling),
    })(),
    host: hostFlag(),
    emulators: emulatorsFlag(),
    out: Flags.string({
      char: 'o',
      summary: 'The folder to write.',
      helpValue: 'DIR',
      default: 'uport-nix',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(NixFlake);
    const { root } = this.config;
    const made = await writeNixFlake({
      folder: flags.out,
      source: flakeSource(root),
      command: root,
      node: process.execPath,
      ...(flags.guest && { guests: flags.guest }),
      ...(flags.host && { hosts: flags.host }),
      // The builds prepare them, as those outside Nix do.
      ...providersOf({ emulators: flags.emulators, 'emulator-preparation': 'none' }),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    for (const { host, guest, version } of made.emulators) {
      this.log(`${host.padEnd(16)} qemu-${guest} ${version}`);
    }
    this.log(`${made.folder}  builds on ${made.systems.join(', ')}`);
    this.log(`  nix bundle --bundler path:${made.folder} PACKAGE`);
    return made;
  }
}

/** The package has a copy of the repository's folder. */
function flakeSource(root: string): string {
  const copy = path.join(root, 'nix');
  return existsSync(copy) ? copy : path.join(root, '../../nix');
}
