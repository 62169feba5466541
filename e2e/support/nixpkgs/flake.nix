# As much of nixpkgs as packages made by uport ask for.
{
  outputs =
    { self }:
    {
      lib = import ./lib.nix;
    };
}
