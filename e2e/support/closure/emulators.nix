# Emulators as pkgsStatic.qemu-user of nixpkgs has them, one store path for each host, and one that
# links to them all.
let
  copy = import ./copy.nix;
  emulator =
    host:
    copy "qemu-user-static-${host}-unknown-linux-musl-11.1" ''
      busybox mkdir -p $out/bin
      busybox cp $src $out/bin/qemu-riscv64
    '' { src = ./emulators + "/${host}/qemu-riscv64"; };
  x86_64 = emulator "x86_64";
  aarch64 = emulator "aarch64";
in
{
  all =
    copy "qemu-user-all"
      ''
        busybox mkdir -p $out/x86_64/bin $out/aarch64/bin
        busybox ln -s $x86/bin/qemu-riscv64 $out/x86_64/bin
        busybox ln -s $arm/bin/qemu-riscv64 $out/aarch64/bin
      ''
      {
        x86 = x86_64;
        arm = aarch64;
      };
  # As nixpkgs#qemu-user is: it would need its libraries on every host.
  dynamic = copy "qemu-user-11.1" ''
    busybox mkdir -p $out/bin
    busybox cp $src $out/bin/qemu-riscv64
  '' { src = ./dynamic; };
}
