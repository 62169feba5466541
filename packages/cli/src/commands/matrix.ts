import { Args } from '@oclif/core';
import {
  ARCHES,
  archMatrix,
  DEFAULT_HOSTS,
  LAUNCHER_HOSTS,
  parseArch,
  platformName,
} from '@uport/core/model';
import { BaseCommand } from '../base-command.ts';
import { hostFlag } from '../host-flag.ts';

export default class Matrix extends BaseCommand {
  static override summary = 'Show which CPUs run which programs, and how.';

  static override examples = [
    '<%= config.bin %> matrix',
    '<%= config.bin %> matrix i386 --host amd64,arm64',
  ];

  static override args = {
    guest: Args.string({ ignoreStdin: true, description: 'one guest CPU; default: all' }),
  };

  static override flags = { host: hostFlag() };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Matrix);
    const guests = args.guest === undefined ? ARCHES : [parseArch(args.guest)];
    const hosts = flags.host ?? DEFAULT_HOSTS;
    const facts = {
      slices: new Set<string>(),
      launchers: new Set(LAUNCHER_HOSTS),
      emulators: undefined,
    };
    const rows = guests.map((guest) => ({ guest, row: archMatrix(guest, hosts, facts) }));

    this.log(
      [
        'guest'.padEnd(14),
        ...hosts.map((host) => (host.oci ? platformName(host.oci) : host.name).padEnd(16)),
      ].join(''),
    );
    for (const { guest, row } of rows) {
      this.log(
        [guest.name.padEnd(14), ...row.map((cell) => cell.way.padEnd(16))].join('').trimEnd(),
      );
    }
    for (const cell of rows.flatMap(({ row }) => row)) {
      if (args.guest !== undefined) this.log(`${cell.host.name}: ${cell.reason}`);
    }
    return rows.map(({ guest, row }) => ({
      guest: guest.name,
      hosts: row.map(({ host, way, reason }) => ({ host: host.name, way, reason })),
    }));
  }
}
