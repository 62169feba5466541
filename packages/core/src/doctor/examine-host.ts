// What this machine allows, which way uport takes on it, and what would make it better.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { launcherFor } from '@uport/launcher';
import { hostLauncher, storedLauncher } from '../binfmt/interpreters.ts';
import { readBinfmtStatus, servedSubjects } from '../binfmt/status.ts';
import { ARCHES, type Arch } from '../model/arch.ts';
import type { Progress } from '../model/progress.ts';
import { hostArch } from '../run/host-arch.ts';
import type { Store } from '../store/store.ts';
import { adviseHost } from './advice.ts';
import { tryExecWays } from './exec-ways.ts';
import type { HostReport } from './host-report.ts';
import { readKernelFacts } from './kernel-facts.ts';
import { placesOf, tryPlaces } from './places.ts';
import { userNamespaceBlockers } from './user-namespaces.ts';

const run = promisify(execFile);

export interface ExamineOptions {
  /** The CPUs of apps that are to run here. Default: those of images, without the host's. */
  readonly guests?: readonly Arch[];
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const IMAGE_GUESTS = ['x86_64', 'aarch64', 'riscv64', 'ppc64le', 's390x'];

/**
 * Examines this machine by trying: nothing is changed and nothing is fetched.
 *
 * @throws UportError UPORT_NOT_LINUX, UPORT_NO_LAUNCHER
 */
export async function examineHost(options: ExamineOptions): Promise<HostReport> {
  const host = hostArch();
  const { env, uid, signal } = options;
  const guests =
    options.guests ??
    ARCHES.filter((arch) => IMAGE_GUESTS.includes(arch.name) && arch.name !== host.name);
  const kernel = await readKernelFacts();
  const { path: launcher } = hostLauncher(host);
  // Its emulators are never started, so the launcher itself stands for them.
  const emulators = guests.map((guest) => ({ guest, version: '', file: launcher }));
  const ways = await tryExecWays(await storedLauncher(host, emulators, options), signal);
  const found = {
    host,
    guests,
    kernel,
    binfmt: await registrations(),
    userNamespaceBlockers: userNamespaceBlockers(kernel, ways),
    ways,
    places: await tryPlaces(placesOf(env, uid), launcher, signal),
    compatible: await compatibleGuests(host, signal),
  };
  return { ...found, advice: adviseHost(found, uid) };
}

async function registrations(): Promise<HostReport['binfmt']> {
  const status = await readBinfmtStatus();
  return {
    mounted: status.mounted,
    enabled: status.enabled,
    registrations: servedSubjects(status).flatMap(({ subject, entries }) =>
      entries.map((entry) => ({
        guest: subject === 'fatelf' ? subject : subject.name,
        entry,
        faults: [
          ...(entry.enabled ? [] : ['it is disabled']),
          ...(entry.flags.includes('P') ? [] : ['without flag P programs lose their argv[0]']),
          ...(entry.flags.includes('F')
            ? []
            : ['without flag F it does not work in containers and chroots']),
        ],
      })),
    ),
  };
}

/** Tries the launcher of each CPU that this kernel may run. */
async function compatibleGuests(
  host: Arch,
  signal: AbortSignal,
): Promise<HostReport['compatible']> {
  const candidates = ARCHES.filter(({ compatibleWith }) => compatibleWith.includes(host.name));
  const tried: { arch: Arch; runs: boolean | undefined }[] = [];
  for (const arch of candidates) {
    const program = launcherFor(arch.name)?.path;
    tried.push({ arch, runs: program === undefined ? undefined : await starts(program, signal) });
  }
  return tried;
}

async function starts(program: string, signal: AbortSignal): Promise<boolean> {
  try {
    await run(program, ['--probe'], { signal });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
