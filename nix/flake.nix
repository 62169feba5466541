{
  description = "Programs of one CPU for every CPU, in Nix";
  outputs =
    { self }:
    {
      lib = import ./lib.nix;
      overlays.default = final: prev: { uportTools = import ./tools.nix { pkgs = final; }; };
      nixosModules.default = import ./module.nix;
      templates.default = {
        path = ./template;
        description = "A program of one CPU for every CPU";
      };
    };
}
