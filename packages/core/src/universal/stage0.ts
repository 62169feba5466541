/** Where the container begins in a universal file: after the script and its padding. */
export const STAGE0_SIZE = 8192;
/** What the script copies in, in bytes. */
export const STAGE0_BLOCK = 4096;

/** What the script begins with. */
export const STAGE0_START = '#!/bin/sh\n# One program for every CPU, made by uport.';

/** A host's record, as the script needs it; offset and size in bytes, in the whole file. */
export interface Stage0Record {
  readonly host: string;
  /** A multiple of 4096. */
  readonly offset: number;
  readonly size: number;
}

/** What `/proc/sys/kernel/arch` and `uname -m` say on each host, as sh patterns. */
const PATTERNS: Readonly<Record<string, string>> = {
  x86_64: 'x86_64|amd64',
  aarch64: 'aarch64|arm64',
  riscv64: 'riscv64',
  ppc64le: 'ppc64le',
  s390x: 's390x',
  loongarch64: 'loongarch64|loongarch',
  arm: 'arm*',
  i386: 'i[3-6]86|x86',
};

/** Whether a universal file can be started on this host by its script. */
export function stage0Knows(host: string): boolean {
  return Object.hasOwn(PATTERNS, host);
}

/**
 * The beginning of a universal file: a POSIX sh script that hands over to the host's launcher, padded
 * to 8192 bytes. Warm it forks nothing; cold it needs mkdir, dd, chmod, id and perhaps uname.
 *
 * Its variables all begin with `UPORT_`: were one of them in the environment already, assigning
 * would change what the app sees, but the launcher removes these.
 */
export function stage0(id: string, records: readonly Stage0Record[]): Buffer {
  const cases = records.map(({ host, offset, size }) => {
    const skip = offset / STAGE0_BLOCK;
    const count = Math.ceil(size / STAGE0_BLOCK);
    return `${PATTERNS[host]}) UPORT_h=${host} UPORT_s=${skip} UPORT_n=${count};;`;
  });
  const script = `${STAGE0_START} Below this script lie a FatELF container and its payload.
# UPORT_INFO=1 tells what is inside, UPORT_EXTRACT=DIR unpacks it, UPORT_DEBUG=1 tells what is done.
# uport-universal 1 ${STAGE0_SIZE}
UPORT_0=$0
case $0 in */*) ;; *) if [ -f "./$0" ]; then UPORT_0=./$0; else UPORT_0=$(command -v -- "$0"); fi;; esac
UPORT_m=
{ read -r UPORT_m </proc/sys/kernel/arch; } 2>/dev/null || UPORT_m=$(uname -m)
case $UPORT_m in
${cases.join('\n')}
*) echo "uport: this file has no part for a host of CPU $UPORT_m; UPORT_INFO=1 on another host lists them" >&2; exit 126;;
esac
UPORT_i=${id}-$UPORT_h
for UPORT_c in "\${UPORT_CACHE_DIR:-}" "\${XDG_CACHE_HOME:+$XDG_CACHE_HOME/uport}" "\${HOME:+$HOME/.cache/uport}" "\${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/uport}"; do
UPORT_l=$UPORT_c/$UPORT_i/launch
if [ -n "$UPORT_c" ] && [ -x "$UPORT_l" ] && [ "$UPORT_c/$UPORT_i/manifest" -nt "$UPORT_l" ] && [ -O "$UPORT_c" ] && [ ! -L "$UPORT_c" ] && [ -O "$UPORT_l" ]; then exec "$UPORT_l" --unpacked "$UPORT_0" "$0" "$@"; fi
done
# Cold: the launcher is copied out and does the rest.
UPORT_u=$(id -u) UPORT_e=
for UPORT_c in "\${UPORT_CACHE_DIR:-}" "\${XDG_CACHE_HOME:+$XDG_CACHE_HOME/uport}" "\${HOME:+$HOME/.cache/uport}" "\${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/uport}" "/var/tmp/uport-$UPORT_u" "/tmp/uport-$UPORT_u" "/dev/shm/uport-$UPORT_u"; do
[ -n "$UPORT_c" ] || continue
(umask 077; mkdir -p "$UPORT_c") 2>/dev/null
UPORT_l=$UPORT_c/$UPORT_i/launch UPORT_t=$UPORT_c/start.$$
if [ -L "$UPORT_c" ]; then UPORT_w='is a symbolic link'
elif [ ! -d "$UPORT_c" ]; then UPORT_w='cannot be made'
elif [ ! -O "$UPORT_c" ]; then UPORT_w='belongs to somebody else'
elif [ ! -w "$UPORT_c" ]; then UPORT_w='cannot be written'
elif [ -x "$UPORT_l" ] && [ "$UPORT_c/$UPORT_i/manifest" -nt "$UPORT_l" ] && [ -O "$UPORT_l" ]; then exec "$UPORT_l" --unpacked "$UPORT_0" "$0" "$@"
elif ! (umask 077; set -C; dd if="$UPORT_0" bs=${STAGE0_BLOCK} skip=$UPORT_s count=$UPORT_n >"$UPORT_t") 2>/dev/null; then UPORT_w='cannot be written, or is full'
elif ! chmod 700 "$UPORT_t" || ! "$UPORT_t" --probe 2>/dev/null; then UPORT_w='is full, or mounted noexec'
else exec "$UPORT_t" --unpack "$UPORT_0" "$0" "$@"
fi
rm -f "$UPORT_t" 2>/dev/null
UPORT_e="$UPORT_e
  $UPORT_c $UPORT_w"
done
echo "uport: there is no place to unpack this file to:$UPORT_e
Name one that can be written and run from: UPORT_CACHE_DIR=DIR" >&2
exit 126
`;
  const bytes = Buffer.alloc(STAGE0_SIZE, '\n');
  if (Buffer.byteLength(script) > STAGE0_SIZE) throw new RangeError('stage 0 is too long');
  bytes.write(script, 'latin1');
  return bytes;
}
