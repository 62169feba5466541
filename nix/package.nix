# The uport command from this repository's source: pkgs.callPackage ./nix/package.nix { }.
{
  lib,
  stdenvNoCC,
  nodejs,
  typescript,
  cacert,
}:
let
  # A path: flake of this folder is a copy of this folder alone.
  root =
    if builtins.pathExists ../packages/cli/package.json then
      ../.
    else
      throw "uport: the source of the command is not beside the folder nix. Give `uport`, as lib.mkCli makes it from an npm folder, or use the flake that `npx uport nix flake -o uport-nix` writes (path:./uport-nix), or the whole repository: git+file:///REPOSITORY?dir=nix.";

  version = (lib.importJSON (root + "/packages/cli/package.json")).version;

  # In the order in which they need each other.
  packages = [
    "errors"
    "elf"
    "fatelf"
    "launcher"
    "core"
    "cli"
  ];

  select =
    name: wanted:
    builtins.path {
      inherit name;
      path = root;
      filter =
        path: type:
        let
          base = baseNameOf path;
        in
        if type == "directory" then
          !(builtins.elem base [
            ".cache"
            ".git"
            ".nx"
            ".test-results"
            "dist"
            "node_modules"
          ])
        else
          wanted base;
    };

  # The lock file has no addresses, so npm itself fetches what it pins, as a fixed output.
  dependencies = stdenvNoCC.mkDerivation {
    pname = "uport-dependencies";
    inherit version;
    src = select "uport-manifests" (
      base:
      builtins.elem base [
        "package.json"
        "package-lock.json"
      ]
    );

    nativeBuildInputs = [
      nodejs
      cacert
    ];
    strictDeps = true;
    dontConfigure = true;
    dontFixup = true;

    buildPhase = ''
      runHook preBuild
      export HOME="$PWD/home"
      npm ci --workspace=uport --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
      runHook postBuild
    '';

    # Links to the workspaces, and what npm notes for itself, stay behind.
    installPhase = ''
      runHook preInstall
      rm -r node_modules/.package-lock.json node_modules/uport node_modules/@uport
      find node_modules -name .bin -prune -exec rm -r {} +
      cp -r node_modules "$out"
      runHook postInstall
    '';

    outputHashMode = "recursive";
    outputHash = "sha256-S3e6YQDzr3jE/ZSyn6nuPZ9svABHXPMpRVzfkfJ7HKQ=";
  };
in
stdenvNoCC.mkDerivation {
  pname = "uport";
  inherit version;
  src = select "uport-source" (base: base != ".gitignore");

  nativeBuildInputs = [
    nodejs
    typescript
  ];
  strictDeps = true;
  dontConfigure = true;
  # The launchers in it are of other CPUs.
  dontFixup = true;

  # Types are checked where the tests are.
  buildPhase = ''
    runHook preBuild
    cp -r ${dependencies} node_modules
    chmod u+w node_modules
    mkdir node_modules/@uport
    for package in ${toString (lib.remove "cli" packages)}; do
      ln -s "../../packages/$package" "node_modules/@uport/$package"
    done
    ln -s ../packages/cli node_modules/uport
    for package in ${toString packages}; do
      tsc --noCheck --types null -p "packages/$package/tsconfig.build.json"
    done
    node packages/cli/scripts/manifest.mjs
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    lib="$out/lib/uport"
    mkdir -p "$lib/packages" "$out/bin"
    cp -r node_modules nix "$lib"
    for package in ${toString packages}; do
      mkdir "$lib/packages/$package"
      for part in package.json LICENSE LICENSE.prebuilt dist bin prebuilt licenses oclif.manifest.json; do
        if [ -e "packages/$package/$part" ]; then
          cp -r "packages/$package/$part" "$lib/packages/$package"
        fi
      done
    done
    for command in uport fatelf-extract fatelf-glue fatelf-info fatelf-remove fatelf-replace \
      fatelf-split fatelf-validate fatelf-verify; do
      {
        echo '#!${nodejs}/bin/node'
        echo "import('$lib/packages/cli/bin/$command.js');"
      } > "$out/bin/$command"
      chmod 755 "$out/bin/$command"
    done
    runHook postInstall
  '';

  meta = {
    description = "Makes a Linux program for one CPU run on every CPU";
    license = lib.licenses.mit;
    mainProgram = "uport";
    platforms = lib.platforms.linux;
  };
}
