{
  description = "Programs of one CPU for every CPU, in Nix";
  outputs =
    { self }:
    let
      lib = import ./lib.nix { inherit self; };
      withTools = import ./with-tools.nix { inherit self; };
      forAllSystems =
        f:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = f name;
          }) withTools.systems
        );
    in
    {
      inherit lib;
      overlays.default = import ./overlay.nix;
      nixosModules.default = import ./module.nix;
      templates.default = {
        path = ./template;
        description = "A program of one CPU for every CPU";
      };
      bundlers = forAllSystems (system: {
        default = lib.mkBundler { inherit system; };
      });
      packages =
        if withTools.present then
          forAllSystems (system: {
            default = withTools.uport system;
          })
        else
          { };
    };
}
