// Notices of launchers and emulators, put into the store and pinned.
import { Readable } from 'node:stream';
import { launcherLicense } from '@uport/launcher';
import type { DebianContext } from '../debian/context.ts';
import { originOf } from '../debian/pinned-package.ts';
import { parseArch } from '../model/arch.ts';
import type { HostPlan, PinnedEmulator, PinnedFile, PinnedTranslator, Plan } from '../plan/plan.ts';
import { type CommonLicense, licenseText, namedLicenses } from './common-licenses.ts';
import { debianNotice } from './debian-notice.ts';
import { type NoticedEmulator, type NoticedTranslator, noticeText } from './notice-text.ts';

/** QEMU's own, and that of the C library that every static build holds. */
const LICENSES_OF_QEMU: readonly CommonLicense[] = ['GPL-2', 'LGPL-2.1'];

/**
 * An emulator with what its Debian package says of it.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_DEB_INVALID
 */
export async function noticedEmulator(
  emulator: PinnedEmulator,
  context: DebianContext,
): Promise<NoticedEmulator> {
  const { origin, host } = emulator;
  if (origin.provider !== 'debian') return { emulator, copyright: undefined };
  const architecture = parseArch(host).debian ?? host;
  const { copyright, builtUsing } = await debianNotice(origin, architecture, context);
  return {
    emulator: builtUsing.length > 0 ? { ...emulator, builtUsing } : emulator,
    copyright,
  };
}

/**
 * A translator with what its Debian packages say of their licences.
 *
 * @throws UportError UPORT_DEBIAN_*, UPORT_DEB_INVALID
 */
async function noticedTranslator(
  translator: PinnedTranslator,
  context: DebianContext,
): Promise<NoticedTranslator> {
  const copyrights: { name: string; text: string }[] = [];
  for (const each of translator.packages) {
    const { copyright } = await debianNotice(originOf(each), each.architecture, context);
    if (copyright !== undefined) {
      copyrights.push({ name: `${each.name} ${each.version}`, text: copyright });
    }
  }
  return { translator, copyrights };
}

/**
 * The notice of a launcher and of emulators, its bytes put into the store.
 *
 * @throws UportError UPORT_LAUNCHER_DAMAGED, UPORT_LICENSE_MISSING, UPORT_STORE_*
 */
export async function createNotice(
  emulators: readonly NoticedEmulator[],
  { store, signal }: DebianContext,
): Promise<PinnedFile> {
  const names = new Set<CommonLicense>(emulators.length > 0 ? LICENSES_OF_QEMU : []);
  for (const { copyright = '', translator } of emulators) {
    const own = translator?.copyrights.map(({ text }) => text) ?? [];
    for (const text of [copyright, ...own]) {
      for (const name of namedLicenses(text)) names.add(name);
    }
  }
  const text = noticeText(emulators, {
    launcher: launcherLicense(),
    licenses: [...names].sort().map((name) => ({ name, text: licenseText(name) })),
  });
  const bytes = Buffer.from(text, 'utf8');
  const { digest, size } = await store.put(Readable.from([bytes]), { signal });
  return { digest, size };
}

/**
 * The plan with the notices of what it puts beside the app.
 *
 * @throws UportError as `noticedEmulator` and `createNotice` do
 */
export async function addNotices(plan: Plan, context: DebianContext): Promise<Plan> {
  const all: NoticedEmulator[] = [];
  const hosts: HostPlan[] = [];
  for (const host of plan.hosts) {
    if (host.launcher === undefined) {
      hosts.push(host);
    } else if (host.way === 'native') {
      hosts.push({ ...host, notice: await createNotice([], context) });
    } else {
      const noticed = {
        ...(await noticedEmulator(host.emulator, context)),
        ...(host.translator && { translator: await noticedTranslator(host.translator, context) }),
      };
      all.push(noticed);
      const { emulator } = noticed;
      hosts.push({ ...host, emulator, notice: await createNotice([noticed], context) });
    }
  }
  if (!hosts.some(({ launcher }) => launcher)) return plan;
  const { sourceDateEpoch, ...rest } = plan;
  return { ...rest, hosts, notice: await createNotice(all, context), sourceDateEpoch };
}
