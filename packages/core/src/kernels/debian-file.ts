// Files of Debian packages that a simulated machine needs: its kernel, and a static busybox.
import { UportError } from '@uport/errors';
import type { DebianContext } from '../debian/context.ts';
import { extractFromDeb } from '../debian/deb.ts';
import { fetchDebianPackage } from '../debian/package.ts';
import type { Arch } from '../model/arch.ts';
import { type Digest, parseDigest } from '../model/digest.ts';
import type { KernelPackage } from './kernel-machines.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_SIZE = 512 << 20;

interface Remembered {
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly found: number;
}

/** Debian's static busybox: sh and the tools of the first process. */
const busyboxPackage = (host: Arch): KernelPackage => ({
  suites: ['bookworm', 'trixie', 'sid'],
  architecture: host.debian ?? host.name,
  name: /^busybox-static$/,
  path: /^(?:usr\/)?bin\/busybox$/,
});

/**
 * A verified kernel of Debian's, in the store; answers its path. It is looked for anew after a week.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_STORE_*
 */
export function debianKernel(kernel: KernelPackage, context: DebianContext): Promise<string> {
  return debianFile(kernel, context);
}

/** The same for busybox. */
export function debianBusybox(host: Arch, context: DebianContext): Promise<string> {
  return debianFile(busyboxPackage(host), context);
}

async function debianFile(wanted: KernelPackage, context: DebianContext): Promise<string> {
  const { store, signal } = context;
  const { architecture, suites, name, path } = wanted;
  const key = `kernel-files/${architecture} ${suites.join(',')} ${name.source}`;
  const note = (await store.lookup(key)) as Remembered | undefined;
  const age = note === undefined ? -1 : Date.now() - note.found;
  if (note !== undefined && age >= 0 && age < WEEK_MS) {
    const file = store.locate(parseDigest(note.digest));
    if (file !== undefined) return file;
  }
  const deb = await fetchDebianPackage({ suites, arch: architecture, name, context });
  const digest = await extract(deb.file, `${deb.name} ${deb.version}`, path, context);
  const remembered: Remembered = { digest, found: Date.now() };
  await store.record(key, remembered);
  signal.throwIfAborted();
  return store.pathOf(digest);
}

async function extract(
  deb: string,
  name: string,
  path: RegExp,
  { store, signal }: DebianContext,
): Promise<Digest> {
  for await (const entry of extractFromDeb(deb, (each) => path.test(each), signal)) {
    const stored = await store.put(entry.content(), { maxSize: MAX_SIZE, signal, name });
    return stored.digest;
  }
  throw new UportError({
    code: 'UPORT_KERNEL_NOT_FOUND',
    category: 'input',
    message: `the package ${name} has no file ${path.source}`,
    hint: 'tell us: Debian has changed where it lies',
    file: deb,
  });
}
