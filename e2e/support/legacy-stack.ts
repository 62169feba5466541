import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { start } from './uport.ts';

const SOURCES = {
  // The plug-in is found as such programs do: beside the program's own file.
  app: `#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
extern const char *curses_version(void);
extern const char *vendor_name(void);
int main(int argc, char **argv) {
  char self[PATH_MAX], file[PATH_MAX + 32];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length < 0) return 10;
  self[length] = '\\0';
  snprintf(file, sizeof file, "%s/../plugins/report.so", dirname(self));
  void *plugin = dlopen(file, RTLD_NOW);
  if (!plugin) return fprintf(stderr, "%s\\n", dlerror()), 11;
  int (*report)(int) = (int (*)(int))dlsym(plugin, "report");
  printf("%s, %d bits, %.9s, home %s\\n", vendor_name(), (int)sizeof(void *) * 8, curses_version(),
         getenv("VENDOR_HOME") ? "set" : "not set");
  for (int i = 1; i < argc; i++) printf("%d: %s\\n", report(i), argv[i]);
  return 3;
}`,
  vendor: 'const char *vendor_name(void) { return "Vendor 1.2"; }',
  report: `extern const char *vendor_name(void);
int report(int number) { return number * 100 + vendor_name()[0]; }`,
  // Stands for the library when linking: what runs is Debian's.
  curses: 'const char *curses_version(void) { return 0; }',
};

const WRAPPER = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
VENDOR_HOME=$here
export VENDOR_HOME
exec "$here/bin/app" "$@"
`;

/** What the program prints when it is given `a` and `b c`; it ends with 3. */
export const LEGACY_OUTPUT = 'Vendor 1.2, 32 bits, ncurses 6, home set\n186: a\n286: b c\n';

/**
 * A vendor's folder of an i386 program in `folder/vendor`: a wrapper script `start.sh`, a library
 * that is found by RPATH and $ORIGIN, a plug-in that is opened at run time, and a need for
 * `libncurses.so.5`, which Debian has had no package of since Debian 13.
 */
export async function makeLegacyStack(folder: string): Promise<string> {
  for (const [name, text] of Object.entries(SOURCES)) {
    await writeFile(path.join(folder, `${name}.c`), text);
  }
  const vendor = path.join(folder, 'vendor');
  for (const name of ['bin', 'lib', 'plugins']) {
    await mkdir(path.join(vendor, name), { recursive: true });
  }
  const library = ['-shared', '-fPIC'];
  const rpath = ['-Wl,-rpath,$ORIGIN/../lib', '-Wl,--disable-new-dtags'];
  const own = 'vendor/lib/libvendor.so.1';
  const calls: readonly (readonly string[])[] = [
    [...library, '-Wl,-soname,libncurses.so.5', '-o', 'libncurses.so.5', 'curses.c'],
    [...library, '-Wl,-soname,libvendor.so.1', '-o', own, 'vendor.c'],
    [...library, ...rpath, '-o', 'vendor/plugins/report.so', 'report.c', own],
    [...rpath, '-o', 'vendor/bin/app', 'app.c', 'libncurses.so.5', own, '-ldl'],
  ];
  for (const args of calls) {
    const { status, stderr } = await start('i686-linux-gnu-gcc', args, { cwd: folder });
    if (status !== 0) throw new Error(stderr);
  }
  const wrapper = path.join(vendor, 'start.sh');
  await writeFile(wrapper, WRAPPER);
  await chmod(wrapper, 0o755);
  return vendor;
}
