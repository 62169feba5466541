/** The CPUs that images are built from, by the toolchain that compiles for them. */
export const GUESTS: readonly { readonly toolchain: string; readonly guest: string }[] = [
  'aarch64',
  'riscv64',
  's390x',
  'ppc64le',
  'x86_64',
  'i386',
  'armhf',
  'mips64el',
  'm68k',
  'sparc64',
  'alpha',
  'hppa',
].map((toolchain) => ({ toolchain, guest: toolchain === 'armhf' ? 'arm' : toolchain }));

/** The platforms that an image has when nobody says otherwise, by host. */
export const PLATFORMS: Readonly<Record<string, string>> = {
  x86_64: 'linux/amd64',
  aarch64: 'linux/arm64/v8',
  riscv64: 'linux/riscv64',
  ppc64le: 'linux/ppc64le',
  s390x: 'linux/s390x',
};
