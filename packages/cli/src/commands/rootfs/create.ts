import { Flags } from '@oclif/core';
import {
  type Arch,
  type CreatedRootfs,
  createRootfs,
  parseArch,
  ROOTFS_VARIANTS,
  type RootfsVariant,
  Store,
} from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { humanSize } from '../../progress-bar.ts';

export default class RootfsCreate extends BaseCommand {
  static override summary = "Make a root file system of any CPU from Debian's packages.";

  static override description =
    "Needs no root and runs nothing of it: any machine makes the same bytes for any CPU. Packages are checked against Debian's signatures. They are left unpacked, as after `dpkg --unpack`; `uport rootfs enter DIR -- dpkg --configure -a` runs their scripts. A tar keeps owners, devices and all modes; a folder has them when root makes it.";

  static override examples = [
    '<%= config.bin %> rootfs create --arch riscv64 --suite trixie --include bash,python3 -o root.tar',
    '<%= config.bin %> rootfs create --arch s390x --variant minbase -o ./s390x-root',
    '<%= config.bin %> rootfs create --arch i386 --suite stretch --debian-mirror https://archive.example/debian -o old.tar.zst',
  ];

  static override flags = {
    arch: Flags.custom<Arch>({
      summary: 'The CPU, by any usual name.',
      helpValue: 'CPU',
      required: true,
      parse: async (spelling) => parseArch(spelling),
    })(),
    suite: Flags.string({
      summary: 'A suite, such as trixie or trixie-updates. Of several, the newest version wins.',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      default: ['trixie'],
      helpValue: 'SUITE',
    }),
    variant: Flags.option({
      summary: 'Which packages are in besides those named: extract is none.',
      options: ROOTFS_VARIANTS,
      default: 'essential' as RootfsVariant,
    })(),
    include: Flags.string({
      summary: 'A further package: NAME, NAME=VERSION or "NAME (>= VERSION)".',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      helpValue: 'PACKAGE',
    }),
    components: Flags.string({
      summary: 'Parts of the archive, such as contrib. Default: main.',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      helpValue: 'NAME',
    }),
    recommends: Flags.boolean({ summary: 'Also what packages recommend.' }),
    'debian-mirror': Flags.string({
      summary: 'The mirror to ask, and no other: the folder with dists/ and pool/.',
      helpValue: 'URL',
    }),
    'debian-keyring': Flags.string({
      summary: "OpenPGP keys to believe instead of Debian's.",
      helpValue: 'FILE',
    }),
    'source-date-epoch': Flags.integer({
      summary: 'No file is newer than this, in seconds since 1970.',
      env: 'SOURCE_DATE_EPOCH',
      min: 0,
      helpValue: 'SECONDS',
    }),
    out: Flags.string({
      char: 'o',
      summary: 'A new folder, or a file that ends with .tar, .tar.gz or .tar.zst.',
      required: true,
      helpValue: 'DIR|TAR',
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RootfsCreate);
    const result = await createRootfs({
      arch: flags.arch,
      suites: flags.suite,
      variant: flags.variant,
      out: flags.out,
      ...(flags.include && { include: flags.include }),
      ...(flags.components && { components: flags.components }),
      ...(flags['source-date-epoch'] !== undefined && {
        sourceDateEpoch: flags['source-date-epoch'],
      }),
      recommends: flags.recommends,
      context: {
        store: await Store.open(),
        progress: this.progress,
        signal: this.signal,
        warn: this.tell,
        debian: {
          ...(flags['debian-mirror'] !== undefined && { mirror: flags['debian-mirror'] }),
          ...(flags['debian-keyring'] !== undefined && { keyring: flags['debian-keyring'] }),
        },
      },
    });
    this.#report(result);
    const { packages, ...rest } = result;
    return {
      ...rest,
      packages: packages.map(({ name, version, architecture, suite, digest }) => {
        return { name, version, architecture, suite, digest };
      }),
    };
  }

  #report({ path, packages, state, size, digest, leftOut }: CreatedRootfs): void {
    this.log(`${packages.length} packages, ${state}`);
    this.log(`${path}${digest === undefined ? '' : `  ${digest}`}  ${humanSize(size)}`);
    const lost = [
      [leftOut.devices, 'device nodes were not made'],
      [leftOut.owners, "files belong to you and not to their packages' users"],
      [leftOut.setIds, 'programs are without set-user-id or set-group-id'],
      [leftOut.xattrs, 'files are without their extended attributes'],
    ] as const;
    for (const [names, what] of lost) {
      if (names.length > 0) this.tell(`${names.length} ${what}: ${names.slice(0, 3).join(', ')}`);
    }
  }
}
