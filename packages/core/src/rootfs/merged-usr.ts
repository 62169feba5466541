// Since bookworm, Debian's root folders are links into usr. Packages of old suites hold files below
// both names and leave the links to whoever makes the root.

/** Further folders of libraries that an architecture's loaders may name. */
const MORE: Readonly<Record<string, readonly string[]>> = {
  amd64: ['lib32', 'lib64', 'libx32'],
  i386: ['lib64', 'libx32'],
  x32: ['lib32', 'lib64', 'libx32'],
  mips64el: ['lib32', 'lib64', 'libo32'],
  mipsel: ['lib32', 'lib64'],
  loong64: ['lib64'],
  powerpc: ['lib64'],
  ppc64: ['lib32', 'lib64'],
  ppc64el: ['lib64'],
  s390x: ['lib32'],
  sparc64: ['lib32', 'lib64'],
};

/** The names that become links to the folder of the same name in `usr`. */
export function mergedFolders(architecture: string): readonly string[] {
  return ['bin', 'sbin', 'lib', ...(MORE[architecture] ?? [])];
}
