import { readFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import {
  type Arch,
  type HostVerdict,
  parseArch,
  Store,
  systemError,
  UportError,
  verifyArtifact,
} from '@uport/core';
import { BaseCommand } from '../base-command.ts';
import { inheritedEnvironment } from '../hand-over.ts';
import { emulatorsFlag, preparationFlag, providersOf } from '../shared-flags.ts';

const ALL = 'all';

export default class Verify extends BaseCommand {
  static override summary = 'Run an artifact on every host it is made for, and compare.';

  static override description =
    "Other hosts' CPUs are simulated by user-mode emulation, so no hardware is needed; their kernels are not, unless --kernel is given: then qemu-system boots one of Debian's for each. What is compared with is --expect and --expect-status, else the run on this machine's own CPU. Exit status 6 tells that a host differs.";

  static override examples = [
    '<%= config.bin %> verify dist/oci -- 8',
    '<%= config.bin %> verify dist/nqueens --hosts arm64,riscv64 --expect expected.txt -- 8',
    '<%= config.bin %> verify dist/nix --json',
    '<%= config.bin %> verify dist/oci --kernel --hosts arm64,riscv64 -- 8',
  ];

  static override strict = false;

  static override args = {
    artifact: Args.string({
      description:
        'an OCI layout or archive, a universal, FatELF or single-host file, a Nix output, a program',
      required: true,
      ignoreStdin: true,
    }),
  };

  static override flags = {
    hosts: Flags.custom<Arch | typeof ALL>({
      summary: 'The hosts to run it on. Default: all that it is made for.',
      helpValue: 'all|CPU',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
      parse: async (spelling) => (spelling === ALL ? ALL : parseArch(spelling)),
    })(),
    expect: Flags.string({
      summary: 'A file with what must come on standard output.',
      helpValue: 'FILE',
      allowStdin: false,
    }),
    'expect-status': Flags.integer({
      summary: 'The exit status that must come. Default: 0 with --expect.',
      helpValue: 'N',
      min: 0,
      max: 255,
    }),
    timeout: Flags.integer({
      summary: 'Seconds for each host.',
      helpValue: 'SECONDS',
      default: 120,
      min: 1,
      max: 86400,
    }),
    kernel: Flags.boolean({
      summary:
        "Run on each host's own kernel under qemu-system, which must be installed, with its page size, ptrace and user namespaces.",
    }),
    emulators: emulatorsFlag(),
    'emulator-preparation': preparationFlag(),
    tag: Flags.string({ summary: 'Which image of a layout that holds several.', helpValue: 'TAG' }),
  };

  async run(): Promise<unknown> {
    const end = this.argv.indexOf('--');
    const args = end < 0 ? [] : this.argv.slice(end + 1);
    const parsed = await this.parse(Verify, end < 0 ? this.argv : this.argv.slice(0, end));
    const { flags } = parsed;
    if (parsed.argv.length > 1) {
      throw new UportError({
        code: 'UPORT_USAGE',
        category: 'usage',
        message: `one artifact at a time; ${JSON.stringify(parsed.argv[1])} is too much`,
        hint: 'put arguments of the app after --',
      });
    }
    const { expect } = flags;
    const hosts = flags.hosts?.filter((host) => host !== ALL) as Arch[] | undefined;
    const result = await verifyArtifact({
      artifact: parsed.args.artifact,
      args,
      ...(hosts && hosts.length > 0 && { hosts }),
      ...(flags.tag !== undefined && { tag: flags.tag }),
      ...(expect !== undefined && { stdout: await read(expect) }),
      ...(flags['expect-status'] !== undefined && { status: flags['expect-status'] }),
      ...providersOf(flags),
      seconds: flags.timeout,
      kernel: flags.kernel,
      env: inheritedEnvironment(),
      uid: process.getuid?.() ?? -1,
      store: await Store.open(),
      progress: this.progress,
      signal: this.signal,
      warn: this.tell,
    });
    for (const verdict of result.verdicts) this.log(line(verdict));
    const count = result.verdicts.length;
    const failed = result.verdicts.filter(({ fault }) => fault !== undefined).length;
    const total = count === 1 ? '1 host' : `${count} hosts`;
    this.log(
      failed === 0
        ? `${total} as expected, compared with ${result.reference}`
        : `${failed} of ${total} not as expected, compared with ${result.reference}`,
    );
    if (!result.passed) process.exitCode = 6;
    return {
      passed: result.passed,
      reference: result.reference,
      hosts: result.verdicts.map(({ host, way, kernel, runs, status, fault, stdout, stderr }) => ({
        host: host.name,
        way,
        kernel: kernel?.release ?? null,
        pageSize: kernel?.pageSize ?? null,
        runs,
        status: status ?? null,
        fault: fault ?? null,
        stdout: stdout.toString('utf8'),
        stderr: stderr.toString('utf8'),
      })),
    };
  }
}

function line({ host, way, kernel, runs, status, fault }: HostVerdict): string {
  const where =
    kernel === undefined
      ? way
      : `Linux ${/^[0-9]+\.[0-9]+/.exec(kernel.release)?.[0] ?? '?'}, ${kernel.pageSize / 1024} KiB pages`;
  const columns = `${host.name.padEnd(12)}${where.padEnd(24)}${runs.padEnd(14)} `;
  return fault === undefined ? `${columns}ok, status ${status}` : `${columns}FAILED: ${fault}`;
}

async function read(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw systemError(error, file);
  });
}
