// What well-known libraries load or read by themselves. A new rule is a new row.
import type { RuntimeLoad } from './closure.ts';

export interface RuntimeRule {
  readonly kind: RuntimeLoad['kind'];
  /** What the files are for. */
  readonly name: string;
  /** A library with this soname has them loaded. */
  readonly soname: RegExp;
  /**
   * Patterns of glob(7). `$LIBDIR` is the folder of that library; others are paths of the root.
   * `$1` is what the soname's pattern caught.
   */
  readonly files: readonly string[];
}

export const RUNTIME_RULES: readonly RuntimeRule[] = [
  {
    kind: 'plug-in',
    name: 'PAM modules and services',
    soname: /^libpam\.so\./,
    files: ['$LIBDIR/security/*.so', '/etc/pam.d', '/etc/pam.conf'],
  },
  {
    kind: 'plug-in',
    name: 'OpenSSL engines, providers and configuration',
    soname: /^libcrypto\.so\.(\d+(?:\.\d+)*)/,
    files: [
      '$LIBDIR/engines-$1/*.so',
      '$LIBDIR/ossl-modules/*.so',
      '/usr/lib/ssl/openssl.cnf',
      '/etc/ssl/openssl.cnf',
    ],
  },
  {
    kind: 'data',
    name: 'certificates',
    soname: /^lib(?:ssl|gnutls|nss3|curl|mbedx509)\b.*\.so/,
    files: ['/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/certs', '/etc/pki/tls/certs'],
  },
  {
    kind: 'plug-in',
    name: 'Qt plug-ins',
    soname: /^libQt(\d)Core\.so\./,
    files: ['$LIBDIR/qt$1/plugins/*/*.so', '$LIBDIR/qt$1/qml', '/usr/lib/qt$1/plugins/*/*.so'],
  },
  {
    kind: 'plug-in',
    name: 'GTK modules',
    soname: /^libgtk-(?:x11-)?(\d)(?:\.0)?\.so\./,
    files: ['$LIBDIR/gtk-$1.0/*/*/*.so', '$LIBDIR/gtk-$1.0/modules/*.so'],
  },
  {
    kind: 'plug-in',
    name: 'image loaders of gdk-pixbuf',
    soname: /^libgdk_pixbuf-2\.0\.so\./,
    files: ['$LIBDIR/gdk-pixbuf-2.0/*/loaders/*.so', '$LIBDIR/gdk-pixbuf-2.0/*/loaders.cache'],
  },
  {
    kind: 'plug-in',
    name: 'GIO modules and settings schemas',
    soname: /^libgio-2\.0\.so\./,
    files: ['$LIBDIR/gio/modules/*.so', '/usr/share/glib-2.0/schemas/gschemas.compiled'],
  },
  {
    kind: 'plug-in',
    name: 'GStreamer plug-ins',
    soname: /^libgstreamer-(\d\.\d+)\.so\./,
    files: ['$LIBDIR/gstreamer-$1/*.so'],
  },
  {
    kind: 'plug-in',
    name: 'ALSA plug-ins and configuration',
    soname: /^libasound\.so\./,
    files: ['$LIBDIR/alsa-lib/*.so', '/usr/share/alsa/alsa.conf'],
  },
  {
    kind: 'plug-in',
    name: 'graphics drivers',
    soname: /^lib(?:GL|EGL|GLX|gbm|GLdispatch)\.so\./,
    files: ['$LIBDIR/dri/*.so', '/usr/share/glvnd/egl_vendor.d/*.json', '$LIBDIR/lib*_mesa.so.0'],
  },
  {
    kind: 'plug-in',
    name: 'Vulkan drivers',
    soname: /^libvulkan\.so\./,
    files: ['/usr/share/vulkan/icd.d/*.json', '/etc/vulkan/icd.d/*.json'],
  },
  {
    kind: 'plug-in',
    name: 'SASL mechanisms',
    soname: /^libsasl2\.so\./,
    files: ['$LIBDIR/sasl2/*.so'],
  },
  {
    kind: 'plug-in',
    name: 'Kerberos plug-ins and configuration',
    soname: /^libkrb5\.so\./,
    files: ['$LIBDIR/krb5/plugins/*/*.so', '/etc/krb5.conf'],
  },
  {
    kind: 'plug-in',
    name: 'PKCS #11 modules',
    soname: /^libp11-kit\.so\./,
    files: ['$LIBDIR/pkcs11/*.so', '/usr/share/p11-kit/modules/*'],
  },
  {
    kind: 'plug-in',
    name: 'ImageMagick coders',
    soname: /^libMagickCore-(\d+)\./,
    files: ['$LIBDIR/ImageMagick-$1*/modules-*/coders/*.so'],
  },
  {
    kind: 'data',
    name: 'fonts',
    soname: /^libfontconfig\.so\./,
    files: ['/etc/fonts/fonts.conf', '/usr/share/fonts'],
  },
  {
    kind: 'data',
    name: 'keyboard layouts',
    soname: /^libxkbcommon\.so\./,
    files: ['/usr/share/X11/xkb'],
  },
  {
    kind: 'data',
    name: 'terminal descriptions',
    soname: /^lib(?:tinfo|ncurses)w?\.so\./,
    files: ['/lib/terminfo', '/usr/share/terminfo', '/etc/terminfo'],
  },
  {
    kind: 'data',
    name: "Python's library",
    soname: /^libpython(\d\.\d+)m?\.so\./,
    files: ['/usr/lib/python$1'],
  },
  {
    kind: 'data',
    name: "Perl's library",
    soname: /^libperl\.so\.(\d+\.\d+)/,
    files: ['$LIBDIR/perl-base', '$LIBDIR/perl/$1', '/usr/share/perl/$1'],
  },
  {
    kind: 'data',
    name: "Tcl's library",
    soname: /^libtcl(\d\.\d+)\.so/,
    files: ['/usr/share/tcltk/tcl$1'],
  },
  {
    kind: 'data',
    name: 'file magic',
    soname: /^libmagic\.so\./,
    files: ['/usr/lib/file/magic.mgc', '/usr/share/misc/magic.mgc'],
  },
];

/** Functions of the C library that make it load files, by the names a program imports. */
export const NSS_FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  passwd: ['getpwnam', 'getpwuid', 'getpwnam_r', 'getpwuid_r', 'getpwent'],
  group: ['getgrnam', 'getgrgid', 'getgrnam_r', 'getgrgid_r', 'getgrouplist', 'initgroups'],
  shadow: ['getspnam', 'getspnam_r'],
  hosts: [
    'getaddrinfo',
    'gethostbyname',
    'gethostbyname2',
    'gethostbyname_r',
    'gethostbyaddr',
    'getnameinfo',
  ],
  services: ['getservbyname', 'getservbyport', 'getservbyname_r'],
  protocols: ['getprotobyname', 'getprotobynumber'],
  networks: ['getnetbyname'],
};

export const GCONV_FUNCTIONS = ['iconv_open', 'iconv'];
export const LOCALE_FUNCTIONS = ['setlocale', 'newlocale'];
export const DLOPEN_FUNCTIONS = ['dlopen', 'dlmopen'];
/** glibc opens libgcc_s.so.1 to unwind the stack. */
export const UNWINDING_FUNCTIONS = ['pthread_cancel', 'pthread_exit', 'thrd_exit', 'backtrace'];

/** All functions above. */
export const WATCHED_FUNCTIONS: ReadonlySet<string> = new Set([
  ...Object.values(NSS_FUNCTIONS).flat(),
  ...GCONV_FUNCTIONS,
  ...LOCALE_FUNCTIONS,
  ...DLOPEN_FUNCTIONS,
  ...UNWINDING_FUNCTIONS,
]);
