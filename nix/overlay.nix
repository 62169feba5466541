# pkgs.uport, the command, and pkgs.uportTools, the functions that build with it.
final: prev: {
  uport =
    if builtins.pathExists ./tools then
      final.uportTools.mkCli { src = ./tools/command; }
    else
      final.callPackage ./package.nix { };
  uportTools = import ./tools.nix { pkgs = final; };
}
