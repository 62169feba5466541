import { Args } from '@oclif/core';
import {
  artifactKind,
  describeFatElf,
  describeLayout,
  describeMachine,
  describeUniversal,
  inspectElf,
} from '@uport/core/inspect';
import { archOfElf, platformName } from '@uport/core/model';
import { BaseCommand } from '../base-command.ts';
import { humanSize } from '../progress-bar.ts';

export default class Inspect extends BaseCommand {
  static override summary =
    'Show what a program or an artifact is: CPU, linkage, libraries, platforms, emulators.';

  static override examples = [
    '<%= config.bin %> inspect ./nqueens',
    '<%= config.bin %> inspect dist/oci --json',
    '<%= config.bin %> inspect dist/nqueens',
  ];

  static override args = {
    file: Args.string({
      ignoreStdin: true,
      description: 'an ELF file, a universal or FatELF file, or an OCI image layout folder',
      required: true,
    }),
  };

  async run(): Promise<unknown> {
    const { args } = await this.parse(Inspect);
    switch (await artifactKind(args.file)) {
      case 'oci-layout':
        return this.#layout(args.file);
      case 'universal':
        return this.#universal(args.file);
      case 'fatelf':
        return this.#fatElf(args.file);
      default:
        return this.#elf(args.file);
    }
  }

  async #elf(file: string): Promise<unknown> {
    const { size, elf } = await inspectElf(file);
    const { identity } = elf;
    const arch = archOfElf(identity);
    const facts: Record<string, string | undefined> = {
      cpu: arch?.name ?? `${describeMachine(identity.machine)} (QEMU has no such guest)`,
      platform: arch?.oci && platformName(arch.oci),
      debian: arch?.debian,
      elf: `${identity.bits} bits, ${identity.order === 'lsb' ? 'little' : 'big'}-endian, machine ${identity.machine} ${describeMachine(identity.machine)}, flags 0x${identity.flags.toString(16)}`,
      linkage: elf.linkage,
      interpreter: elf.interpreter,
      needed: elf.dynamic?.needed.join(' ') || undefined,
      soname: elf.dynamic?.soname,
      rpath: elf.dynamic?.rpath.join(':') || undefined,
      runpath: elf.dynamic?.runpath.join(':') || undefined,
      'build id': elf.buildId,
      'abi tag': elf.abiTag && `${elf.abiTag.os} ${elf.abiTag.version}`,
      size: humanSize(size),
    };
    for (const [name, value] of Object.entries(facts)) {
      if (value !== undefined) this.log(`${`${name}:`.padEnd(13)}${value}`);
    }
    return {
      kind: 'elf',
      file,
      size,
      arch: arch?.name,
      platform: arch?.oci,
      identity: { ...identity, entry: `0x${identity.entry.toString(16)}` },
      linkage: elf.linkage,
      interpreter: elf.interpreter,
      dynamic: elf.dynamic && {
        needed: elf.dynamic.needed,
        rpath: elf.dynamic.rpath,
        runpath: elf.dynamic.runpath,
        soname: elf.dynamic.soname,
      },
      buildId: elf.buildId,
      abiTag: elf.abiTag,
    };
  }

  async #fatElf(file: string): Promise<unknown> {
    const fatElf = await describeFatElf(file, { signal: this.signal });
    this.log(`${file}  FatELF version ${fatElf.version}  ${humanSize(fatElf.size)}`);
    for (const record of fatElf.records) {
      const facts = [record.target, record.arch, record.linkage, record.digest];
      this.log(
        `  ${facts.filter((fact) => fact !== undefined).join('  ')}  ${humanSize(record.size)}`,
      );
    }
    if (fatElf.trailing) {
      const { digest, size } = fatElf.trailing;
      this.log(`  trailing data${digest ? `  ${digest}` : ''}  ${humanSize(size)}`);
    }
    for (const fault of fatElf.faults) this.log(`  fault: ${fault.code}  ${fault.message}`);
    return { kind: 'fatelf', file, ...fatElf };
  }

  async #universal(file: string): Promise<unknown> {
    const universal = await describeUniversal(file, { signal: this.signal });
    if (universal === undefined) return this.#fatElf(file);
    const { app, form, id, size, files, tree } = universal;
    this.log(`${app}  ${form} file  ${humanSize(size)}  id ${id}`);
    const part = ({ raw, stored, digest }: { raw: number; stored: number; digest: string }) =>
      `${humanSize(raw)}, stored as ${humanSize(stored)}  ${digest}`;
    this.log(`  app: ${files} ${files === 1 ? 'file' : 'files'}  ${part(tree)}`);
    if (universal.notice)
      this.log(`  licences and source: ${universal.notice} (UPORT_EXTRACT=DIR)`);
    for (const { name, path } of universal.programs) this.log(`  program ${name}: ${path}`);
    for (const host of universal.hosts) {
      this.log(
        `  ${host.host}  launcher ${humanSize(host.launcher.size)}  ${host.launcher.digest}`,
      );
      if (host.translator) {
        const { name, files } = host.translator;
        const sum = (of: 'raw' | 'stored') => files.reduce((all, each) => all + each[of], 0);
        this.log(
          `    ${name}, tried first  ${humanSize(sum('raw'))}, stored ${humanSize(sum('stored'))}`,
        );
      }
      for (const emulator of host.emulators) {
        this.log(`    qemu-${emulator.guest} ${emulator.version ?? '?'}  ${part(emulator)}`);
      }
      for (const slice of host.slices) this.log(`    native ${slice.path}  ${part(slice)}`);
    }
    return { kind: 'universal', file, ...universal };
  }

  async #layout(dir: string): Promise<unknown> {
    const layout = await describeLayout(dir);
    for (const image of layout.images) {
      this.log(`${image.tag ?? '(no tag)'}  ${image.digest}`);
      for (const platform of image.platforms) {
        const way = platform.way === undefined ? '' : `  ${platform.way}`;
        const emulator = platform.emulator === undefined ? '' : ` (${platform.emulator})`;
        this.log(
          `  ${platform.platform.padEnd(16)} ${platform.digest}  ${humanSize(platform.size)}${way}${emulator}`,
        );
        for (const layer of platform.layers)
          this.log(`    layer ${layer.digest}  ${humanSize(layer.size)}`);
      }
      for (const { artifactType, digest, size } of image.attached) {
        this.log(`  attached ${artifactType}  ${digest}  ${humanSize(size)}`);
      }
    }
    return { kind: 'oci-layout', dir, ...layout };
  }
}
