# What builds with the uport command, for one nixpkgs.
{ pkgs }:
let
  inherit (pkgs) lib;

  # Runs `uport build` and keeps what `install` takes out of $dist.
  artifact =
    { emit, install }:
    {
      uport ? pkgs.uport or (pkgs.extend (import ./overlay.nix)).uport,
      ...
    }@args:
    let
      request = import ./request.nix (builtins.removeAttrs args [ "uport" ] // { inherit emit; });
    in
    pkgs.stdenvNoCC.mkDerivation {
      name = request.storeName;
      inherit (request) meta;
      programName = request.name;
      strictDeps = true;
      nativeBuildInputs = [ uport ];
      dontUnpack = true;
      dontConfigure = true;
      dontBuild = true;
      dontFixup = true;
      installPhase = ''
        runHook preInstall
        export HOME="$PWD" UPORT_STORE_DIR="$PWD/store"
        dist="$PWD/dist"
        uport build ${lib.escapeShellArgs request.words} -o "$dist"
        ${install}
        runHook postInstall
      '';
    };
in
rec {
  # The command, from a folder in which npm has installed it.
  mkCli =
    { src }:
    pkgs.stdenvNoCC.mkDerivation {
      pname = "uport";
      version = (lib.importJSON (src + "/node_modules/uport/package.json")).version;
      inherit src;
      strictDeps = true;
      dontUnpack = true;
      dontConfigure = true;
      dontBuild = true;
      dontFixup = true;
      installPhase = ''
        runHook preInstall
        mkdir -p "$out/lib" "$out/bin"
        cp -r "$src/node_modules" "$out/lib/node_modules"
        {
          echo '#!${pkgs.nodejs}/bin/node'
          echo "import('$out/lib/node_modules/uport/bin/uport.js');"
        } > "$out/bin/uport"
        chmod 755 "$out/bin/uport"
        runHook postInstall
      '';
      meta.mainProgram = "uport";
    };

  # One self-running file for every host, in bin/.
  mkUniversal = artifact {
    emit = "universal";
    install = ''
      mkdir -p "$out/bin"
      cp "$dist/$programName" "$out/bin/$programName"
    '';
  };

  # A multi-arch image, as an OCI image layout.
  mkImage = artifact {
    emit = "oci";
    install = ''
      cp -r "$dist/oci" "$out"
    '';
  };

  # For `nix bundle`: takes a package or an app.
  mkBundler =
    tools: drv:
    mkUniversal (tools // (if drv ? program then { inherit (drv) program; } else { package = drv; }));
}
