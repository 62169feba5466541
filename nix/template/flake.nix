# Beside this file belong: app, a static program of any CPU; emulators/, with static builds of
# qemu-CPU for the hosts; cli/, made by `npm install --prefix cli uport`.
{
  inputs.nixpkgs.url = "nixpkgs";
  inputs.uport.url = "uport";

  outputs =
    {
      self,
      nixpkgs,
      uport,
    }:
    let
      system = "x86_64-linux";
      pkgs = import nixpkgs { inherit system; };
      tools = {
        inherit pkgs;
        uport = uport.lib.mkCli {
          inherit pkgs;
          src = ./cli;
        };
        emulators = ./emulators;
      };
      program = ./app;
    in
    {
      packages.${system} = {
        default = uport.lib.mkUniversal (tools // { inherit program; });
        image = uport.lib.mkImage (tools // { inherit program; });
      };
      bundlers.${system}.default = uport.lib.mkBundler tools;
    };
}
