# The busybox beside it, put there by the tests, is all the userland there is.
{
  system ? builtins.currentSystem,
  config ? { },
  overlays ? [ ],
}:
let
  lib = import ./lib.nix;
  busybox = "${./bin}/busybox";

  mkDerivation =
    attributes:
    let
      meta = attributes.meta or { };
      name = attributes.name or "${attributes.pname}-${attributes.version}";
      unfree = builtins.filter (license: !(license.free or true)) (lib.toList (meta.license or [ ]));
      drv = derivation (
        builtins.removeAttrs attributes [ "meta" ]
        // {
          inherit name system;
          builder = busybox;
          args = [
            "sh"
            "-ec"
            ''
              ${busybox} mkdir tools
              ${busybox} --install -s "$PWD/tools"
              PATH=$PWD/tools
              for input in $nativeBuildInputs; do PATH=$input/bin:$PATH; done
              export PATH
              runHook() { :; }
              if [ -z "$dontUnpack" ] && [ -n "$src" ]; then
                cp -r "$src" source
                chmod -R u+w source
                cd source
              fi
              eval "$buildPhase"
              eval "$installPhase"
            ''
          ];
        }
      );
      refused = throw "Package ‘${name}’ has an unfree license (‘${(builtins.head unfree).shortName}’), refusing to evaluate.";
    in
    (if unfree != [ ] && !(config.allowUnfree or false) then refused else drv) // { inherit meta; };

  base = final: {
    inherit lib system;
    stdenvNoCC = { inherit mkDerivation; };
    # The tests put the Node that runs them there, in the sandbox.
    nodejs = "/opt/uport-node";
    typescript = "/opt/uport-typescript";
    cacert = "/opt";
    callPackage =
      file: args:
      let
        function = import file;
      in
      function (builtins.intersectAttrs (builtins.functionArgs function) final // args);
  };

  final = builtins.foldl' (prev: overlay: prev // overlay final prev) (base final) overlays;
in
final
