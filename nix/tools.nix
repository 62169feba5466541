# What builds with the uport command, for one nixpkgs.
{ pkgs }:
let
  inherit (pkgs) lib;

  defaultHosts = [
    "x86_64-linux"
    "aarch64-linux"
    "riscv64-linux"
    "powerpc64le-linux"
    "s390x-linux"
  ];

  mainProgram = package: "${package}/bin/${package.meta.mainProgram or package.pname}";

  # Runs `uport build` on a program and keeps what `install` takes out of $dist.
  build =
    {
      uport,
      program,
      emulators,
      hosts,
      slices,
      name,
      flags,
      install,
      meta,
    }:
    pkgs.stdenvNoCC.mkDerivation {
      inherit name meta;
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
        uport build ${
          lib.escapeShellArgs (
            [
              "${program}"
              "--name=${name}"
              "--emulators=dir:${emulators}"
            ]
            ++ map (host: "--host=${host}") hosts
            ++ map (host: "--slice=${host}=${slices.${host}}") (builtins.attrNames slices)
            ++ flags
          )
        } -o "$dist"
        ${install}
        runHook postInstall
      '';
    };

  artifact =
    { flags, install }:
    {
      uport,
      emulators,
      package ? null,
      program ? mainProgram package,
      hosts ? defaultHosts,
      slices ? { },
      name ? builtins.unsafeDiscardStringContext (baseNameOf program),
      extraFlags ? [ ],
    }:
    build {
      inherit
        uport
        program
        emulators
        hosts
        slices
        name
        install
        ;
      flags = flags ++ extraFlags;
      meta = {
        mainProgram = name;
        platforms = hosts;
      };
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
    flags = [ "--emit=universal" ];
    install = ''
      mkdir -p "$out/bin"
      cp "$dist/$name" "$out/bin/$name"
    '';
  };

  # A multi-arch image, as an OCI image layout.
  mkImage = artifact {
    flags = [ "--emit=oci" ];
    install = ''
      cp -r "$dist/oci" "$out"
    '';
  };

  # For `nix bundle`: takes a package or an app.
  mkBundler = tools: drv: mkUniversal (tools // { program = drv.program or (mainProgram drv); });
}
