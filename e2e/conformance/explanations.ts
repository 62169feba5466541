import type { Way } from './ways.ts';

/** Why a behaviour fails in a way. */
export interface Explanation {
  readonly why: string;
  readonly behaviours: readonly string[];
  /** All when left out. */
  readonly ways?: readonly Way[];
  /** All when left out. */
  readonly machines?: readonly string[];
}

/** Ways in which the kernel hands programs to QEMU. */
const KERNEL: readonly Way[] = ['binfmt', 'userns'];
/** Ways in which the launcher's supervisor starts them. */
const SUPERVISED: readonly Way[] = ['listen', 'follow', 'ptrace'];
const EMULATED: readonly Way[] = ['binfmt', 'userns', 'listen', 'follow', 'ptrace', 'none'];

/** The first that fits a cell explains it. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    why: 'QEMU: a child of vfork or posix_spawn is one of fork; the error comes as status 127.',
    behaviours: ['posix_spawn tells that there is no such file'],
    ways: EMULATED,
  },
  {
    why: 'QEMU, started by the kernel for a descriptor, opens the name `/dev/fd/N` again, which is closed or means another file by then.',
    behaviours: [
      'fexecve',
      'fexecve of an O_CLOEXEC descriptor',
      'fexecve of an O_PATH descriptor',
      "execveat relative to a folder's descriptor",
      'fexecve of a sealed program in memory',
      'exec of /proc/self/fd/N, a program in memory',
      'exec of a deleted file by /proc/self/fd/N',
    ],
    ways: KERNEL,
  },
  {
    why: 'QEMU takes a program whose name begins with `-` for one of its options.',
    behaviours: ['odd file names'],
    ways: KERNEL,
  },
  {
    why: 'QEMU reads the program as a file; a kernel does not need the read permission.',
    behaviours: ['exec of a program that may not be read'],
    ways: EMULATED,
  },
  {
    why: 'QEMU looks for the loader when the exec has already happened: it prints a message and ends with 255.',
    behaviours: ['ENOENT for a missing loader'],
    ways: EMULATED,
  },
  {
    why: 'QEMU maps the program without the protection that an exec gives the file.',
    behaviours: ['ETXTBSY for writing to a running program'],
    ways: EMULATED,
  },
  {
    why: 'QEMU makes a list of the environment: entries without `=` and repeated ones are lost.',
    behaviours: ['odd and repeated variables in order'],
    ways: EMULATED,
  },
  {
    why: 'QEMU reads its own options from `QEMU_` variables of whoever starts the program.',
    behaviours: ['variables that QEMU reads reach the program'],
    ways: EMULATED,
  },
  {
    why: 'The kernel follows five interpreters; the emulator is one of them.',
    behaviours: ['ELOOP for scripts too deep'],
    ways: KERNEL,
  },
  {
    why: "A loader of the host's CPU sees the guest's `LD_PRELOAD` and complains of it on standard error; it goes on.",
    behaviours: ["LD_PRELOAD of the guest, kept from the host's programs"],
    ways: EMULATED,
  },
  {
    why: 'To the kernel the process is the emulator: `/proc/PID` of another process tells so.',
    behaviours: [
      '/proc/PID/exe of a script is its shell',
      '/proc/PID/exe, seen by the parent',
      '/proc/PID/cmdline, seen by the parent',
    ],
    ways: EMULATED,
  },
  {
    why: 'QEMU keeps RLIMIT_STACK, RLIMIT_DATA and RLIMIT_AS of the guest away from itself, and so from its children.',
    behaviours: ['cwd, umask, limits and nice value across exec'],
    ways: EMULATED,
  },
  {
    why: 'The setuid bit counts for the emulator, which has none. A registration with flag `C` would give it to every program of the CPU, so uport does not set it.',
    behaviours: ["setuid program of the guest's CPU"],
    ways: EMULATED,
  },
  {
    why: 'QEMU has no ptrace for its guests.',
    behaviours: ['PTRACE_TRACEME of the guest'],
    ways: EMULATED,
  },
  {
    why: "QEMU uses some of the host's real-time signals itself; the last few of the guest's are missing.",
    behaviours: ['every real-time signal'],
    ways: EMULATED,
  },
  {
    why: 'QEMU cannot make a process that shares memory unless its parent waits for it (CLONE_VFORK).',
    behaviours: ['clone with CLONE_VM alone'],
    ways: EMULATED,
  },
  {
    why: 'QEMU has a thread of its own, and the kernel lets only a process without threads enter a new user namespace.',
    behaviours: ['exec in a new user and mount namespace', 'exec below a root of its own'],
    ways: EMULATED,
  },
  {
    why: 'QEMU has a thread of its own, which `/proc/self/task` shows.',
    behaviours: ["/proc/self/task has the program's threads only"],
    ways: EMULATED,
  },
  {
    why: 'QEMU does not answer getsockopt of SO_RCVTIMEO as it was set.',
    behaviours: ['options of sockets'],
    ways: EMULATED,
  },
  {
    why: 'Inode numbers and folder offsets of 64 bits do not fit a 32-bit program (EOVERFLOW); one that is built with 64-bit file offsets reads them.',
    behaviours: ['reading a folder by a program of a third CPU'],
    ways: EMULATED,
  },
  {
    why: 'QEMU has no seccomp for its guests.',
    behaviours: ['installing a seccomp filter'],
    ways: EMULATED,
  },
  {
    why: "QEMU makes up `/proc/cpuinfo` for some CPUs only; for others the program sees the host's.",
    behaviours: ["/proc/cpuinfo is of the guest's CPU"],
    ways: EMULATED,
  },
  {
    why: 'The kernel has pages of 64 KiB and the guest of 4 KiB: QEMU reads the program into memory of its own, and what it does to a part of a page counts for the whole. Not of the way: plain QEMU does the same.',
    behaviours: [
      '/proc/self/maps names the program',
      'MAP_FIXED_NOREPLACE',
      'mprotect of one page',
    ],
    ways: EMULATED,
    machines: ['ppc64le'],
  },
  {
    why: 'In a user namespace of one user, every other user is `nobody` (65534), and the map of users shows the namespace.',
    behaviours: ['owners of files', 'map of user ids'],
    ways: ['userns'],
  },
  {
    why: 'In a user namespace of one user, the bit of another user (root) gives nothing.',
    behaviours: ["setuid program of the host's CPU"],
    ways: ['userns'],
  },
  {
    why: 'A seccomp filter without privileges needs no_new_privs, which turns the setuid bit off.',
    behaviours: ["setuid program of the host's CPU", 'no_new_privs is off'],
    ways: ['follow', 'ptrace'],
  },
  {
    why: 'A seccomp filter without privileges needs no_new_privs, which turns the setuid bit off.',
    behaviours: ["setuid program of the host's CPU"],
    ways: ['none'],
  },
  {
    why: 'The kernel tells the supervisor of an exec by a seccomp filter, which `/proc/self/status` shows.',
    behaviours: ['Seccomp is 0'],
    ways: SUPERVISED,
  },
  {
    why: 'Not of the way: the suite runs as an ordinary user who has the capabilities that root listens with, and sees them.',
    behaviours: ['no capabilities of its own', 'unshare of mounts without the right to it'],
    ways: ['listen'],
  },
  {
    why: 'The supervisor is the tracer, and a process has one.',
    behaviours: ['TracerPid is 0', "PTRACE_TRACEME of a program of the host's CPU"],
    ways: ['follow', 'ptrace'],
  },
  {
    why: 'The kernel names a process by the file that it executes: the emulator.',
    behaviours: ['/proc/self/comm', '/proc/PID/comm, seen by the parent'],
    ways: SUPERVISED,
  },
  {
    why: 'QEMU 11.1 ends forked children with an internal SIGILL now and then, on the machine that qemu-system simulates; it was seen with binfmt_misc of the system too, so it is not of the way.',
    behaviours: [
      '100 orphans come to the subreaper',
      'app: short-lived orphans leave no zombie',
      'process 1: orphans are reaped',
    ],
    ways: EMULATED,
    machines: ['s390x'],
  },
];

/** In plain emulation no child of another CPU starts, so all that needs one fails. */
export const PLAIN_EMULATION =
  'Plain emulation: the kernel does not start programs of other CPUs (ENOEXEC), and this behaviour needs one.';
