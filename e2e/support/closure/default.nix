# A dynamic program with its closure, as nixpkgs would have it, out of files that lie beside.
let
  copy = import ./copy.nix;
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
  # What a store may hold besides: a script, sealed files, empty folders, odd names.
  odd =
    copy "odd-1.0"
      ''
        busybox mkdir -p $out/bin $out/share/empty
        echo "#!$hello/bin/hello" > $out/bin/odd
        busybox chmod 755 $out/bin/odd
        echo "$data" | busybox gzip -n > $out/share/data.gz
        echo "$data" > "$out/share/$(printf 'odd \351\n name')"
        busybox ln -s $data/share $out/share/linked
        busybox ln -s linked/words $out/share/words
      ''
      {
        inherit data hello;
      };
}
