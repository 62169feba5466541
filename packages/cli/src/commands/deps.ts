import { Args, Flags } from '@oclif/core';
import type { Closure } from '@uport/core/closure';
import { BaseCommand } from '../base-command.ts';
import { librariesOf, libraryFlags } from '../library-flags.ts';
import { showDeps } from '../show-deps.ts';

export default class Deps extends BaseCommand {
  static override summary = 'Show the libraries that a program of any CPU loads.';

  static override description =
    'Follows the rules of the dynamic linker that the program names (glibc or musl) without running anything: RPATH, RUNPATH, $ORIGIN, LD_LIBRARY_PATH, ld.so.conf, default folders and symbol versions. What a program opens by itself at run time (NSS, gconv, plug-ins, dlopen) is listed apart. Ends with 6 when something is missing. With --from-debian it also names the Debian packages that have what is missing, from indexes alone, and ends with 6 only for what is in none.';

  static override examples = [
    '<%= config.bin %> deps ./app-riscv64',
    '<%= config.bin %> deps ./vendor/bin/app --sysroot ./root-s390x',
    '<%= config.bin %> deps ./app --lib ./new-libs --list',
    '<%= config.bin %> deps ./app-s390x --from-debian trixie',
    '<%= config.bin %> deps ./app --json',
  ];

  static override args = {
    file: Args.string({
      ignoreStdin: true,
      description: 'an ELF program or library',
      required: true,
    }),
  };

  static override flags = {
    list: Flags.boolean({ summary: 'One path a line, in load order, and nothing else.' }),
    lib: Flags.string({
      summary: 'A folder to search as those of LD_LIBRARY_PATH, which is heeded too.',
      helpValue: 'DIR',
      multiple: true,
      multipleNonGreedy: true,
    }),
    sysroot: Flags.string({
      summary: "A folder that holds the program's system. Default: this machine's.",
      helpValue: 'DIR',
    }),
    app: Flags.string({
      summary: 'A folder whose libraries are taken by name where the loader finds none.',
      helpValue: 'DIR',
    }),
    preload: Flags.string({
      summary: 'A library that is loaded first, as by LD_PRELOAD.',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    opens: Flags.string({
      summary: 'A library that the program opens at run time.',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    hwcaps: Flags.string({
      summary: 'What the CPU can do, best first: folders below glibc-hwcaps.',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
    }),
    'from-debian': Flags.string({
      summary:
        'Name the packages of a Debian suite that have what is missing; several are asked in order.',
      helpValue: 'SUITE',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      helpGroup: 'LIBRARIES',
    }),
    'opened-libraries': Flags.boolean({
      summary: 'Also those of libraries that the program opens at run time by a literal name.',
      helpGroup: 'LIBRARIES',
    }),
    'debian-mirror': libraryFlags['debian-mirror'],
    'debian-keyring': libraryFlags['debian-keyring'],
    'debian-archived': libraryFlags['debian-archived'],
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Deps);
    const source = librariesOf(flags);
    const { libraries } = source;
    return showDeps(args.file, flags, {
      json: this.jsonEnabled(),
      log: (line) => this.log(line),
      tell: this.tell,
      signal: this.signal,
      ...(libraries && {
        findMissing: async (closure: Closure) => {
          const { findDebianLibraries, Store } = await import('@uport/core');
          return findDebianLibraries(closure, libraries, {
            store: await Store.open(),
            progress: this.progress,
            signal: this.signal,
            warn: this.tell,
            debian: source.debian,
          });
        },
      }),
    });
  }
}
