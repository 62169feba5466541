import type { ExecWays } from './exec-ways.ts';
import type { KernelFacts } from './kernel-facts.ts';

/** What keeps a process from making user namespaces; empty when nothing is known to. */
export function userNamespaceBlockers(kernel: KernelFacts, ways: ExecWays): readonly string[] {
  const trial = ways.trials.find(({ way }) => way === 'userns');
  const refused = /user namespaces? (?:are forbidden|gets no user)/.test(trial?.reason ?? '');
  if (!refused) return [];
  const blockers = [
    ...(kernel.maxUserNamespaces === 0 ? ['the sysctl user.max_user_namespaces is 0'] : []),
    ...(kernel.unprivilegedUserNamespaces === 0
      ? ['the sysctl kernel.unprivileged_userns_clone is 0']
      : []),
    ...(kernel.appArmorRestricts === 1
      ? ['AppArmor: the sysctl kernel.apparmor_restrict_unprivileged_userns is 1']
      : []),
    ...(kernel.seccompMode === 2 ? ['a seccomp filter, as container engines install'] : []),
  ];
  return blockers.length > 0
    ? blockers
    : [`something that is not told (a chroot, a security module): ${trial?.reason}`];
}
