# Functions. Those that build take the nixpkgs of the caller as pkgs, or system, and then need the
# tools that `uport nix flake` writes.
{
  # The flake that this lies in.
  self ? null,
}:
let
  withTools = import ./with-tools.nix { inherit self; };
  withPkgs = pkgs: import ./tools.nix { inherit pkgs; };
  either =
    name: args:
    if args ? pkgs then
      (withPkgs args.pkgs).${name} (builtins.removeAttrs args [ "pkgs" ])
    else
      withTools.${name} args;
in
{
  # What needs nothing but Nix.
  fromNar = import ./from-nar.nix;
  mkCli = { pkgs, ... }@args: (withPkgs pkgs).mkCli (builtins.removeAttrs args [ "pkgs" ]);
  mkUniversal = either "mkUniversal";
  mkImage = either "mkImage";
  mkBundler = either "mkBundler";
}
