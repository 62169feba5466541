import { debianBusybox, parseArch, silentProgress } from '@uport/core';
import { testStore } from '@uport/testkit';

/** Debian's static busybox of a CPU: the sh and the tools of a simulated host. Not executable as it lies. */
export async function busybox(arch: string, signal: AbortSignal): Promise<string> {
  const context = { store: await testStore(), progress: silentProgress, signal };
  return debianBusybox(parseArch(arch), context);
}
