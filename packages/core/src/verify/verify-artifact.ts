// Runs an artifact on every host that it is made for, and compares.
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { artifactKind } from '../inspect/artifact-kind.ts';
import { inspectElf } from '../inspect/inspect-elf.ts';
import type { KernelReport } from '../kernels/read-report.ts';
import { findMachine, runOnKernel } from '../kernels/run-on-kernel.ts';
import { type Arch, archOfElf } from '../model/arch.ts';
import { unpackNar } from '../nix/nar-unpack.ts';
import type { EmulatorSearch } from '../run/emulator-program.ts';
import { hostArch } from '../run/host-arch.ts';
import { differenceOf, type Expectation, statusText } from './compare.ts';
import { fatElfStarts } from './fatelf-starts.ts';
import { fileStarts } from './file-starts.ts';
import type { HostStart, HostStarts } from './host-start.ts';
import { imageStarts } from './image-starts.ts';
import { unpackArchive } from './layout-archive.ts';
import { type Observed, observe } from './observe.ts';
import { simulateHost } from './simulated-host.ts';
import { takenEmulator } from './taken-emulator.ts';

export interface VerifyOptions extends EmulatorSearch {
  /** An OCI layout folder or archive, a universal, FatELF or single-host file, a Nix output, or a program. */
  readonly artifact: string;
  readonly args: readonly string[];
  /** Default: all that the artifact is made for. */
  readonly hosts?: readonly Arch[];
  /** Which image of a layout that holds several. */
  readonly tag?: string;
  /** Left out: what the run on this machine's own CPU gives, else the first host's. */
  readonly stdout?: Uint8Array;
  readonly status?: number;
  /** Of one run; 120 when left out. */
  readonly seconds?: number;
  /** On the host's own kernel under qemu-system, in place of user-mode emulation. */
  readonly kernel?: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Of the caller. */
  readonly uid: number;
}

export interface HostVerdict {
  readonly host: Arch;
  /** How this machine stood for the host. */
  readonly way: 'this machine' | 'user-mode emulation' | 'its own kernel';
  /** Where it ran: `7.2.3`, and the size of its pages in bytes. */
  readonly kernel: { readonly release: string; readonly pageSize: number } | undefined;
  /** What ran the app there: `native build`, `qemu-x86_64`. */
  readonly runs: string;
  readonly status: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** One line; undefined when all is as expected. */
  readonly fault: string | undefined;
}

export interface Verification {
  readonly verdicts: readonly HostVerdict[];
  /** What the runs were compared with. */
  readonly reference: string;
  readonly passed: boolean;
}

/**
 * Runs the artifact once for each host. A host that is not this machine is simulated by user-mode
 * emulation: its CPU, not its kernel. With `kernel` it is a machine under qemu-system.
 *
 * @throws UportError UPORT_VERIFY_UNKNOWN, UPORT_VERIFY_NO_HOST, UPORT_EMULATOR_NOT_FOUND,
 * UPORT_NO_QEMU_SYSTEM, UPORT_KERNEL_UNKNOWN and those of the artifact's reader
 */
export async function verifyArtifact(options: VerifyOptions): Promise<Verification> {
  const { signal } = options;
  const folder = await mkdtemp(path.join(tmpdir(), 'uport-verify-'));
  try {
    const starts = chosen(await startsOf(options, folder), options);
    // Before anything runs: a machine that is missing is missing for a quarter of an hour's work too.
    if (options.kernel) {
      for (const { host } of starts) if (host !== hostArch()) findMachine(host, options.env);
    }
    const runs: { start: HostStart; seen: Seen | UportError }[] = [];
    for (const start of starts) {
      signal.throwIfAborted();
      runs.push({ start, seen: await runOn(start, options, folder) });
    }
    return judge(runs, options);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** How a run went, and on which kernel if it was not this machine's. */
type Seen = Observed & Partial<Pick<KernelReport, 'kernel' | 'pageSize'>>;

async function startsOf(options: VerifyOptions, folder: string): Promise<HostStarts> {
  const { artifact, tag, uid, signal, progress } = options;
  const kind = await artifactKind(artifact);
  const image = (layout: string) =>
    imageStarts(layout, { ...(tag !== undefined && { tag }), uid, signal, progress });
  if (kind === 'oci-layout') {
    const names = await readdir(artifact);
    const nar = names.find((name) => name.endsWith('.nar'));
    if (names.includes('oci-layout') || nar === undefined) return image(artifact);
    return (await fileStarts(await programOfNar(path.join(artifact, nar), folder, signal))) ?? [];
  }
  if (kind === 'universal') return (await fileStarts(artifact)) ?? [];
  if (kind === 'fatelf') return fatElfStarts(artifact);
  if (kind === 'elf') {
    const { elf } = await inspectElf(artifact);
    const host = archOfElf(elf.identity);
    if (host !== undefined) return fatElfStarts(artifact, host);
  }
  if (artifact.endsWith('.nar')) {
    return (await fileStarts(await programOfNar(artifact, folder, signal))) ?? [];
  }
  const layout = path.join(folder, 'layout');
  if (await unpackArchive(artifact, layout, signal)) return image(layout);
  throw new UportError({
    code: 'UPORT_VERIFY_UNKNOWN',
    category: 'input',
    message: 'it is no artifact that can be run',
    hint: 'name an OCI layout, a universal, FatELF or single-host file, a Nix output or a program',
    file: artifact,
  });
}

/** The universal file in a Nix package of ours. */
async function programOfNar(nar: string, folder: string, signal: AbortSignal): Promise<string> {
  const target = path.join(folder, 'nix');
  await unpackNar(createReadStream(nar, { signal }), target);
  const bin = path.join(target, 'bin');
  for (const name of await readdir(bin)) {
    const file = path.join(bin, name);
    if ((await stat(file)).isFile() && (await artifactKind(file)) === 'universal') return file;
  }
  throw new UportError({
    code: 'UPORT_VERIFY_UNKNOWN',
    category: 'input',
    message: 'the Nix package has no universal file in bin',
    hint: 'verify what uport build --emit nix made',
    file: nar,
  });
}

/**
 * This machine's own first: its run is what the others are compared with, also when only others are
 * asked for.
 */
function chosen(starts: HostStarts, options: VerifyOptions): HostStarts {
  const { hosts, artifact } = options;
  const missing = hosts?.find((host) => !starts.some((start) => start.host === host));
  if (missing !== undefined || starts.length === 0) {
    throw new UportError({
      code: 'UPORT_VERIFY_NO_HOST',
      category: 'validation',
      message: missing ? `it is not made for ${missing.name}` : 'it is made for no host',
      hint: `it is made for: ${starts.map(({ host }) => host.name).join(', ') || 'none'}`,
      file: artifact,
    });
  }
  const here = hostArch();
  const wanted = starts.filter(
    ({ host }) => (hosts?.includes(host) ?? true) || (!isTold(options) && host === here),
  );
  return [
    ...wanted.filter(({ host }) => host === here),
    ...wanted.filter(({ host }) => host !== here),
  ];
}

async function runOn(
  start: HostStart,
  options: VerifyOptions,
  folder: string,
): Promise<Seen | UportError> {
  const { args, env, signal } = options;
  const task = options.progress.start(`run on ${start.host.name}`, undefined, 'bytes');
  const own = path.join(folder, start.host.name);
  try {
    await mkdir(own);
    if (options.kernel && start.host !== hostArch())
      return await runOnItsKernel(start, options, own);
    const simulated = await simulateHost(start.host, options);
    const prepared = await start.prepare({ simulated, args, folder: own, env });
    return await observe(prepared, { seconds: options.seconds ?? 120, signal });
  } catch (error) {
    signal.throwIfAborted();
    // What is wrong with one host's part must not hide the others.
    if (error instanceof UportError) return error;
    throw error;
  } finally {
    task.done();
    await rm(own, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function runOnItsKernel(
  start: HostStart,
  options: VerifyOptions,
  folder: string,
): Promise<Seen> {
  const { args, env, uid, store, progress, signal, warn } = options;
  const { entries, command } = await start.onKernel({ args, folder, env });
  const user = Math.max(uid, 0);
  return runOnKernel({
    host: start.host,
    entries,
    command: { uid: user, gid: user, seconds: options.seconds ?? 120, ...command },
    env,
    context: { store, progress, signal, warn, env },
  });
}

/** Whether the caller says what is expected. */
function isTold({ stdout, status }: VerifyOptions): boolean {
  return stdout !== undefined || status !== undefined;
}

function judge(
  runs: readonly { start: HostStart; seen: Seen | UportError }[],
  options: VerifyOptions,
): Verification {
  const told = isTold(options);
  const first = runs.find(({ seen }) => !(seen instanceof UportError));
  const model = first && !(first.seen instanceof UportError) ? first.seen : undefined;
  const expected: Expectation = told
    ? {
        status: options.status ?? 0,
        ...(options.stdout !== undefined && { stdout: options.stdout }),
      }
    : { status: model?.status ?? 0, stdout: model?.stdout ?? Buffer.of() };
  const reference = told ? 'what was given' : `the run on ${first?.start.host.name ?? 'no host'}`;
  const asked = runs.filter(({ start }) => options.hosts?.includes(start.host) ?? true);
  const verdicts = asked.map(({ start, seen }): HostVerdict => {
    const common = {
      host: start.host,
      way: wayOf(start.host, options),
      kernel: undefined,
      runs: start.runs,
    };
    if (seen instanceof UportError) {
      const nothing = { status: undefined, stdout: Buffer.of(), stderr: Buffer.of() };
      return { ...common, ...nothing, fault: `${seen.message} (${seen.code})` };
    }
    const { status, stdout, kernel: release, pageSize = 0 } = seen;
    const { translator, runs: otherwise } = start;
    const { runs, stderr } =
      translator === undefined
        ? { runs: otherwise, stderr: seen.stderr }
        : takenEmulator(seen.stderr, translator, otherwise);
    const kernel = release === undefined ? undefined : { release, pageSize };
    // Nothing says that it should: a build that crashes everywhere must not pass.
    const crash =
      !told && seen === model && status > 128
        ? `ended with status ${statusText(status)}: if it should, say so with --expect-status ${status}`
        : undefined;
    const fault = differenceOf(seen, expected) ?? crash;
    return { ...common, runs, kernel, status, stdout, stderr, fault };
  });
  return { verdicts, reference, passed: verdicts.every(({ fault }) => fault === undefined) };
}

function wayOf(host: Arch, { kernel }: VerifyOptions): HostVerdict['way'] {
  if (host === hostArch()) return 'this machine';
  return kernel ? 'its own kernel' : 'user-mode emulation';
}
