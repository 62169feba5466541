// The first process of a simulated machine: a script for busybox that runs one command and says on the
// console what it printed and how it ended.

import { constants } from 'node:fs';
import type { CpioEntry } from './cpio.ts';

/** Where the script and busybox lie. */
const OWN = '.uport-verify';
export const INIT = `/${OWN}/init`;
/** A shell and tools for what runs there. */
export const BUSYBOX = `/${OWN}/busybox`;
/** What is kept of each stream, in bytes. */
const KEPT = 1 << 20;

/** What a simulated machine runs. Strings stand for bytes (Latin-1). */
export interface KernelCommand {
  /** An absolute path first. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** Of its run; the machine's own start does not count. */
  readonly seconds: number;
}

/** The entries of the first process; they go in front of the machine's own. */
export function initEntries(
  command: KernelCommand,
  busybox: { readonly file: string; readonly size: number },
): readonly CpioEntry[] {
  return [
    { path: OWN, mode: constants.S_IFDIR | 0o755, owner: 0, size: 0 },
    {
      path: BUSYBOX.slice(1),
      mode: constants.S_IFREG | 0o755,
      owner: 0,
      size: busybox.size,
      source: { file: busybox.file },
    },
    script(INIT.slice(1), init(command)),
    script(`${OWN}/run`, run(command)),
  ];
}

function script(path: string, text: string): CpioEntry {
  const bytes = Buffer.from(text, 'latin1');
  return {
    path,
    mode: constants.S_IFREG | 0o755,
    owner: 0,
    size: bytes.length,
    source: { bytes },
  };
}

/** A word of a shell command, whatever bytes it has. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function run({ argv, env, cwd, uid, gid }: KernelCommand): string {
  const [program = '', ...args] = argv;
  const variables = Object.entries(env).map(([name, value]) => quoted(`${name}=${value}`));
  // With the name of a file that is not there nothing counts as running already.
  const as = `${BUSYBOX} start-stop-daemon -S -p /${OWN}/none -c ${uid}:${gid}`;
  return [
    `#!${BUSYBOX} sh`,
    `cd ${quoted(cwd)} || exit 125`,
    `exec ${BUSYBOX} env -i ${variables.join(' ')} ${as} -x ${quoted(program)} -- ${args.map(quoted).join(' ')}`,
    '',
  ].join('\n');
}

function init({ seconds, uid, gid }: KernelCommand): string {
  return `#!${BUSYBOX} sh
b=${BUSYBOX} own=/${OWN}
$b mkdir -p /proc /sys /dev /tmp
$b chmod 1777 /tmp
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o ptmxmode=0666 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$b chmod 666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty
# busybox takes users with an entry only; container engines add one too.
$b mkdir -p /etc
$b grep -q '^[^:]*:[^:]*:${uid}:' /etc/passwd 2>/dev/null || echo 'user:x:${uid}:${gid}::/tmp:/bin/sh' >>/etc/passwd
exec </dev/null >/dev/console 2>&1
$b stty raw </dev/console
$b dmesg -n 1
page=$($b awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)
echo "@@ kernel $($b uname -r) $((page * 1024))"
$b setsid $own/run </dev/null >$own/stdout 2>$own/stderr &
app=$!
( $b sleep ${seconds}; echo >$own/late; kill -9 -$app ) 2>/dev/null &
wait $app
status=$?
for stream in stdout stderr; do
  $b head -c ${KEPT} $own/$stream >$own/kept
  $b base64 $own/kept | $b sed "s/^/@@ $stream /"
  echo "@@ sum $stream $($b sha256sum $own/kept | $b cut -d ' ' -f 1)"
done
[ -e $own/late ] && status=late
echo "@@ status $status"
$b poweroff -f
`;
}
