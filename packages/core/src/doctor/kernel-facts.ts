// What /proc tells of this process and of the kernel's settings that matter to emulation.
import { readFile } from 'node:fs/promises';
import os from 'node:os';

/** A setting of the kernel; undefined where this kernel has no such thing. */
export interface KernelFacts {
  /** `uname -r`. */
  readonly release: string;
  /** In bytes. */
  readonly pageSize: number | undefined;
  readonly maxUserNamespaces: number | undefined;
  /** Debian's older kernels: 0 forbids user namespaces to ordinary users. */
  readonly unprivilegedUserNamespaces: number | undefined;
  /** Ubuntu: 1 forbids them to programs without a profile. */
  readonly appArmorRestricts: number | undefined;
  /** 0 free, 1 descendants only, 2 root only, 3 never. */
  readonly yamaPtraceScope: number | undefined;
  /** 2 forbids programs in memory (Linux 6.3). */
  readonly memfdNoExec: number | undefined;
  /** Of this process: 0 none, 2 filtered. */
  readonly seccompMode: number | undefined;
  readonly noNewPrivileges: boolean;
  /** Process that traces this one; 0 for none. */
  readonly tracer: number;
  readonly hasCapabilities: boolean;
}

export async function readKernelFacts(): Promise<KernelFacts> {
  const status = (await text('/proc/self/status')) ?? '';
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
  const number = (value: string | undefined) => (value === undefined ? undefined : Number(value));
  const sysctl = async (name: string) => number((await text(`/proc/sys/${name}`))?.trim());
  return {
    release: os.release(),
    pageSize: await pageSize(),
    maxUserNamespaces: await sysctl('user/max_user_namespaces'),
    unprivilegedUserNamespaces: await sysctl('kernel/unprivileged_userns_clone'),
    appArmorRestricts: await sysctl('kernel/apparmor_restrict_unprivileged_userns'),
    yamaPtraceScope: await sysctl('kernel/yama/ptrace_scope'),
    memfdNoExec: await sysctl('vm/memfd_noexec'),
    seccompMode: number(field('Seccomp')),
    noNewPrivileges: field('NoNewPrivs') === '1',
    tracer: number(field('TracerPid')) ?? 0,
    hasCapabilities: /[1-9a-f]/.test(field('CapEff') ?? ''),
  };
}

async function text(file: string): Promise<string | undefined> {
  return readFile(file, 'latin1').catch(() => undefined);
}

const AT_PAGESZ = 6n;

/** From the auxiliary vector, whose words are of this Node's own size. */
async function pageSize(): Promise<number | undefined> {
  const vector = await readFile('/proc/self/auxv').catch(() => undefined);
  if (vector === undefined) return undefined;
  const wide = !['arm', 'ia32', 'mips', 'mipsel', 'ppc'].includes(process.arch);
  const size = wide ? 8 : 4;
  const little = os.endianness() === 'LE';
  const word = (at: number): bigint => {
    if (!wide) return BigInt(little ? vector.readUInt32LE(at) : vector.readUInt32BE(at));
    return little ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at);
  };
  for (let at = 0; at + 2 * size <= vector.length; at += 2 * size) {
    if (word(at) === AT_PAGESZ) return Number(word(at + size));
  }
  return undefined;
}
