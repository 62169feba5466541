import { readFile, writeFile } from 'node:fs/promises';

/** podman's own profile. */
const PROFILE = '/usr/share/containers/seccomp.json';

/** What docker's and containerd's profiles answer with EPERM for a container without capabilities. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['mount', 'umount', 'umount2', 'pivot_root', 'mount_setattr', 'move_mount', 'open_tree'],
  ...['fsopen', 'fsmount', 'fsconfig', 'fspick', 'unshare', 'setns', 'clone', 'clone3'],
  ...['process_vm_readv', 'process_vm_writev', 'bpf', 'perf_event_open', 'userfaultfd'],
  ...['keyctl', 'add_key', 'request_key'],
]);

/** All CLONE_NEW* that docker's profile masks. */
const NEW_NAMESPACES = 0x7e020000;

interface Rule {
  names: string[];
  action: string;
  args?: unknown[];
  errnoRet?: number;
}

/**
 * Writes a profile that forbids new namespaces and mounts, as docker's does: then private binfmt_misc
 * cannot be had, and ptrace is what is left.
 */
export async function writeProfileWithoutNamespaces(file: string): Promise<void> {
  const profile = JSON.parse(await readFile(PROFILE, 'utf8')) as {
    syscalls: Rule[];
    defaultErrnoRet: number;
    defaultErrno: string;
  };
  const kept = profile.syscalls
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !REFUSED.has(name)) }))
    .filter(({ names }) => names.length > 0);
  const masked = { index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' };
  profile.syscalls = [
    ...kept,
    { names: ['clone'], action: 'SCMP_ACT_ALLOW', args: [masked] },
    // Its flags lie in memory, where a filter cannot look: C libraries then take clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
  ];
  profile.defaultErrnoRet = 1;
  profile.defaultErrno = 'EPERM';
  await writeFile(file, JSON.stringify(profile));
}
