# A dynamic program with its closure, as nixpkgs would have it, out of files that lie beside.
let
  copy =
    name: script: env:
    derivation (
      {
        inherit name;
        system = builtins.currentSystem;
        builder = "${./bin}/busybox";
        args = [
          "sh"
          "-ec"
          script
        ];
        PATH = "${./bin}";
      }
      // env
    );
in
rec {
  libc = copy "glibc-2.36" ''
    busybox mkdir -p $out/lib
    busybox cp $src/* $out/lib
  '' { src = ./libc; };
  data = copy "words-1.0" ''
    busybox mkdir -p $out/share
    echo words from the store > $out/share/words
  '' { };
  greet =
    copy "greet-1.2"
      ''
        busybox mkdir -p $out/lib
        busybox cp $src $out/lib/libgreet.so.1
        busybox ln -s $libc/lib/libc.so.6 $out/lib/libc-link.so
      ''
      {
        inherit libc;
        src = ./libgreet.so.1;
      };
  hello =
    copy "hello-2.12.1"
      ''
        busybox mkdir -p $out/bin
        busybox cp $src $out/bin/hello
        busybox ln -s hello $out/bin/hi
      ''
      {
        inherit data greet libc;
        src = ./hello;
      };
  # A link into another store path, as wrappers and environments have them.
  wrapped = copy "hello-wrapped-3" ''
    busybox mkdir -p $out/bin
    busybox ln -s $hello/bin/hello $out/bin/hello-wrapped
  '' { inherit hello; };
}
