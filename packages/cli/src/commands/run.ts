import { stat } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { type Arch, parseArch, systemError, UportError } from '@uport/core/model';
import { planRun, planRunLayout } from '@uport/core/run';
import { Store } from '@uport/core/store';
import { BaseCommand } from '../base-command.ts';
import { handOver, inheritedEnvironment } from '../hand-over.ts';
import { usage } from '../pairs.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../shared-flags.ts';
import { splitCommandLine } from '../split-command-line.ts';

/** An image brings its emulators along. */
const NOT_FOR_IMAGES = [
  'gdb',
  'cpu',
  'qemu-arg',
  'host-arch',
  'emulators',
  'emulator-preparation',
] as const;
const NOT_FOR_PROGRAMS = ['tag'] as const;

export default class Run extends BaseCommand {
  static override enableJsonFlag = false;

  static override summary = 'Run a program of any CPU, or an image layout, now.';

  static override description =
    'Everything after FILE goes to the program as it is. The program takes the place of uport: terminal, signals and exit status are its own. An image layout is unpacked and entered with chroot (as root) or a user namespace.';

  static override examples = [
    '<%= config.bin %> run ./nqueens 10',
    '<%= config.bin %> run --host-arch arm64 ./nqueens',
    '<%= config.bin %> run -g 1234 ./nqueens   # then: gdb -ex "target remote :1234"',
    '<%= config.bin %> run --qemu-arg=-strace ./nqueens',
    '<%= config.bin %> run dist/oci',
  ];

  static override strict = false;

  static override args = {
    file: Args.string({
      description: 'an ELF program, a script or an OCI image layout folder',
      required: true,
      ignoreStdin: true,
    }),
    // What is piped in is the program's.
    args: Args.string({ description: 'arguments of the program', ignoreStdin: true }),
  };

  static override flags = {
    'host-arch': Flags.custom<Arch>({
      summary: "Pretend to be a host of this CPU: its emulator is run by this host's.",
      helpValue: 'CPU',
      parse: async (spelling) => parseArch(spelling),
    })(),
    'force-emulation': Flags.boolean({
      summary: "Use the emulator even for this machine's own CPU.",
    }),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
    gdb: Flags.integer({
      char: 'g',
      summary: 'Wait for GDB on this port before the program starts.',
      helpValue: 'PORT',
      min: 1,
      max: 65535,
    }),
    cpu: Flags.string({
      summary: 'The CPU that QEMU pretends to be, as its -cpu takes it; help lists them.',
      helpValue: 'MODEL[,FEATURE…]',
      allowStdin: false,
    }),
    'qemu-arg': Flags.string({
      summary: "An option for QEMU, as qemu-user's -help lists them.",
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'ARG',
      allowStdin: false,
    }),
    env: Flags.string({
      summary: 'An environment variable for the program.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAME=VALUE',
    }),
    debug: Flags.boolean({ summary: 'Tell each decision of the launcher.' }),
    tag: Flags.string({ summary: 'Which image of a layout that holds several.', helpValue: 'TAG' }),
  };

  async run(): Promise<void> {
    const { own, program } = splitCommandLine(this.argv, Run.flags);
    const { flags, args } = await this.parse(Run, own);
    const file = args.file;
    const status = await stat(file).catch((error: unknown) => {
      throw systemError(error, file);
    });
    const strange = status.isDirectory() ? NOT_FOR_IMAGES : NOT_FOR_PROGRAMS;
    const wrong = strange.filter((name) => flags[name] !== undefined);
    if (wrong.length > 0) {
      const what = status.isDirectory() ? 'an image layout' : 'a program';
      throw usage(
        `${wrong.map((name) => `--${name}`).join(', ')} cannot be used with ${what}`,
        'leave it out',
      );
    }
    const ownEnv = variables(flags.env ?? []);
    const common = {
      args: program,
      env: { ...inheritedEnvironment(), ...ownEnv },
      debug: flags.debug,
      forceEmulation: flags['force-emulation'],
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
    };
    const command = status.isDirectory()
      ? await planRunLayout({
          ...common,
          layout: file,
          ownEnv,
          uid: process.getuid?.() ?? -1,
          ...(flags.tag !== undefined && { tag: flags.tag }),
        })
      : await planRun({
          ...common,
          file,
          ...providersOf(flags),
          warn: this.tell,
          ...(flags['host-arch'] && { hostArch: flags['host-arch'] }),
          emulatorArgs: [
            ...(flags.gdb === undefined ? [] : ['-g', String(flags.gdb)]),
            ...(flags.cpu === undefined ? [] : ['-cpu', flags.cpu]),
            ...(flags['qemu-arg'] ?? []),
          ],
        });
    handOver(command);
  }
}

function variables(pairs: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals < 1) {
      throw new UportError({
        code: 'UPORT_USAGE',
        category: 'usage',
        message: `--env ${JSON.stringify(pair)} has no NAME=`,
        hint: 'write --env NAME=VALUE',
      });
    }
    env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return env;
}
