import type { HostReport } from './host-report.ts';

/** What would make a machine better for emulation, most useful first. */
export function adviseHost(found: Omit<HostReport, 'advice'>, uid: number): readonly string[] {
  return [...waysAdvice(found, uid), ...registrationAdvice(found), ...placeAdvice(found)];
}

function waysAdvice(
  { ways, kernel, userNamespaceBlockers: blockers }: Omit<HostReport, 'advice'>,
  uid: number,
): readonly string[] {
  const { chosen } = ways;
  if (chosen === 'binfmt') return [];
  const advice: string[] = [];
  if (chosen === 'none') {
    advice.push(
      "what an app starts must be of this host's CPU: as root, `uport binfmt register` makes every CPU's programs run",
    );
    if (kernel.tracer > 0)
      advice.push(`process ${kernel.tracer} traces this one; without it ptrace works`);
    if (kernel.yamaPtraceScope === 3) {
      advice.push(
        'the sysctl kernel.yama.ptrace_scope is 3: 2 or less, and a new start, allow ptrace',
      );
    }
  }
  if (chosen !== 'userns' && uid !== 0) {
    for (const blocker of blockers) {
      advice.push(`private binfmt_misc, the faster way, is kept away by ${blocker}`);
    }
  }
  if (chosen === 'ptrace') {
    advice.push(
      uid === 0
        ? 'as root, `uport binfmt register` makes the kernel start them, which costs nothing'
        : 'a registration with the system (`sudo uport binfmt register`) costs nothing at run time',
    );
  }
  return advice;
}

function registrationAdvice({ binfmt, guests }: Omit<HostReport, 'advice'>): readonly string[] {
  const advice: string[] = [];
  if (binfmt.mounted && !binfmt.enabled) {
    advice.push('binfmt_misc is disabled: echo 1 >/proc/sys/fs/binfmt_misc/status, as root');
  }
  const names = guests.map(({ name }) => name);
  for (const { guest, entry, faults } of binfmt.registrations) {
    if (!names.includes(guest)) continue;
    for (const fault of faults) advice.push(`${entry.name} (${guest}): ${fault}`);
  }
  return advice;
}

function placeAdvice({ places, kernel }: Omit<HostReport, 'advice'>): readonly string[] {
  if (places.some(({ fault }) => fault === undefined)) return [];
  return [
    kernel.memfdNoExec === 2
      ? 'universal files cannot start here: no place takes programs, and vm.memfd_noexec is 2; set UPORT_CACHE_DIR to a folder that does'
      : 'universal files unpack into memory at each start, since no place takes programs; set UPORT_CACHE_DIR to a folder that does',
  ];
}
