# Builds with what `uport nix flake` has put into the folder tools: needs nothing but Nix.
{
  # The flake that this lies in.
  self ? null,
}:
let
  tools = ./tools;

  present = builtins.pathExists tools;

  checked =
    if present then
      tools
    else
      throw "uport: this flake has no tools to build with. Use the one that `npx uport nix flake -o uport-nix` writes: path:./uport-nix. With nixpkgs, give lib.mkUniversal, mkImage and mkBundler pkgs, uport and emulators.";

  # A flake lies in the store: there a tool needs no path of its own, for which its bytes would be
  # hashed at each evaluation. Where this is no flake, or one in a folder of its source, it gets one.
  tool =
    name:
    if self != null && builtins.pathExists "${self}/tools/${name}" then
      "${self}/tools/${name}"
    else
      builtins.path {
        path = checked + "/${name}";
        name = "uport-${baseNameOf name}";
      };

  # How the command starts: by Node's own loader, since a sandbox has none.
  commandOf =
    system:
    let
      node = tool "node/${system}";
      loader = [
        "${node}/loader"
        "--library-path"
        "${node}/lib"
      ];
      start =
        (if builtins.pathExists (tools + "/node/${system}/loader") then loader else [ ])
        ++ [ "${node}/bin/node" ];
    in
    {
      inherit start;
      words = start ++ [ "${tool "command"}/node_modules/uport/bin/uport.js" ];
    };

  # A derivation whose builder is Node.
  run =
    system: args: attributes:
    let
      words = (commandOf system).start ++ args;
    in
    derivation (
      attributes
      // {
        inherit system;
        builder = builtins.head words;
        args = builtins.tail words;
      }
    );

  build =
    {
      system,
      request,
      take,
      place,
    }:
    run system [ "${./builder.mjs}" ] {
      name = request.storeName;
      inherit take place;
      inherit (request) program;
      command = builtins.toJSON (commandOf system).words;
      build = builtins.toJSON request.words;
    }
    // {
      inherit (request) meta;
    };

  artifact =
    emit: results:
    {
      system,
      emulators ? tool "emulators",
      ...
    }@args:
    let
      request = import ./request.nix (
        { hosts = builtins.fromJSON (builtins.readFile (checked + "/hosts.json")); }
        // builtins.removeAttrs args [ "system" ]
        // {
          inherit emit emulators;
        }
      );
    in
    build (
      {
        inherit system request;
      }
      // results request.name
    );
in
rec {
  inherit present;

  systems =
    if present then
      builtins.attrNames (builtins.readDir (tools + "/node"))
    else
      [
        "x86_64-linux"
        "aarch64-linux"
      ];

  mkUniversal = artifact "universal" (name: {
    take = name;
    place = "bin/${name}";
  });

  mkImage = artifact "oci" (_: {
    take = "oci";
    place = "";
  });

  # The command itself.
  uport =
    system:
    run system
      [
        "--eval"
        ''
          const { mkdirSync, writeFileSync } = require("node:fs");
          mkdirSync(process.env.out + "/bin", { recursive: true });
          writeFileSync(process.env.out + "/bin/uport", process.env.text, { mode: 0o755 });
        ''
      ]
      {
        name = "uport";
        text = "#!/bin/sh\nexec ${toString (commandOf system).words} \"$@\"\n";
      }
    // {
      meta.mainProgram = "uport";
    };

  # For `nix bundle`: takes a package or an app.
  mkBundler =
    args: drv:
    mkUniversal (args // (if drv ? program then { inherit (drv) program; } else { package = drv; }));
}
