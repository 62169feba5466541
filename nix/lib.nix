# Functions. Those that build take the nixpkgs of the caller as pkgs.
let
  # What needs nothing but Nix.
  fromNar = import ./from-nar.nix;
  withPkgs =
    name:
    { pkgs, ... }@args:
    (import ./tools.nix { inherit pkgs; }).${name} (builtins.removeAttrs args [ "pkgs" ]);
in
{
  inherit fromNar;
  mkCli = withPkgs "mkCli";
  mkUniversal = withPkgs "mkUniversal";
  mkImage = withPkgs "mkImage";
  mkBundler = withPkgs "mkBundler";
}
