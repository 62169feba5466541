import { Args, Flags } from '@oclif/core';
import { type Arch, parseArch, planEnterRootfs, Store } from '@uport/core';
import { BaseCommand } from '../../base-command.ts';
import { handOver } from '../../hand-over.ts';
import { pairOf } from '../../pairs.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../../shared-flags.ts';
import { splitCommandLine } from '../../split-command-line.ts';

export default class RootfsEnter extends BaseCommand {
  static override enableJsonFlag = false;

  static override summary =
    'Run a command with a folder as its root: a chroot of any CPU, without root.';

  static override description =
    "Who is not root is user 0 inside, and the users that /etc/subuid gives are users 1 and up, where newuidmap is installed; else there is only one user. /proc, /sys, the host's devices and resolv.conf are there. Nothing is isolated: network and processes are this machine's. Programs of the root's CPU run whoever starts them: binfmt_misc is the command's own (Linux 6.7), and where that cannot be, the launcher follows each start. Terminal, signals and exit status are the command's.";

  static override examples = [
    '<%= config.bin %> rootfs enter ./root',
    '<%= config.bin %> rootfs enter ./root -- dpkg --configure -a',
    '<%= config.bin %> rootfs enter ./root --bind $PWD:/src --workdir /src -- make test',
  ];

  static override strict = false;

  static override args = {
    folder: Args.string({ ignoreStdin: true, description: 'the root', required: true }),
    command: Args.string({ ignoreStdin: true, description: 'the command; default: /bin/sh' }),
  };

  static override flags = {
    arch: Flags.custom<Arch>({
      summary: "The CPU of its programs. Default: that of the root's shell.",
      helpValue: 'CPU',
      parse: async (spelling) => parseArch(spelling),
    })(),
    workdir: Flags.string({ summary: 'Folder of the root to start in.', helpValue: 'DIR' }),
    bind: Flags.string({
      summary: 'A folder or file of this machine to see inside.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'FROM:TO',
    }),
    env: Flags.string({
      summary: 'An environment variable. Others than PATH, HOME and TERM are not passed on.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME=VALUE',
    }),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
    debug: Flags.boolean({ summary: 'Tell each decision of the launcher.' }),
  };

  async run(): Promise<void> {
    const { own, command } = split(this.argv);
    const { args, flags } = await this.parse(RootfsEnter, own);
    const { TERM, UPORT_EXEC } = process.env;
    handOver(
      await planEnterRootfs({
        root: args.folder,
        command: command.length > 0 ? command : ['/bin/sh'],
        ...(flags.arch && { arch: flags.arch }),
        ...(flags.workdir !== undefined && { workdir: flags.workdir }),
        ...(flags.bind && { binds: flags.bind.map(bindOf) }),
        ...providersOf(flags),
        env: {
          ...(TERM && { TERM }),
          ...Object.fromEntries((flags.env ?? []).map((pair) => pairOf(pair, '--env'))),
        },
        debug: flags.debug,
        ...(UPORT_EXEC && { exec: UPORT_EXEC }),
        store: await Store.open(),
        progress: this.progress,
        signal: this.signal,
        warn: this.tell,
      }),
    );
  }
}

/** What follows `--`, or else the folder, is the command. */
function split(argv: readonly string[]): { readonly own: string[]; readonly command: string[] } {
  const dashes = argv.indexOf('--');
  if (dashes >= 0) return { own: argv.slice(0, dashes), command: argv.slice(dashes + 1) };
  const { own, program } = splitCommandLine(argv, RootfsEnter.flags);
  // Flags may follow the folder.
  return program[0]?.startsWith('-')
    ? { own: [...own, ...program], command: [] }
    : { own, command: program };
}

/** `FROM:TO`, or one path for both. */
function bindOf(text: string): readonly [from: string, to: string] {
  const colon = text.indexOf(':');
  const from = colon < 0 ? text : text.slice(0, colon);
  return [from, colon < 0 ? text : text.slice(colon + 1)];
}
