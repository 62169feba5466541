# What `uport build` is asked for, with or without nixpkgs.
let
  # As nixpkgs' getExe, which wants a package of nixpkgs.
  mainProgram =
    package:
    let
      output =
        if package.outputSpecified or false then package else package.bin or package.out or package;
      inherit (builtins.parseDrvName package.name) name;
    in
    "${output}/bin/${package.meta.mainProgram or package.pname or name}";

  # As nixpkgs' sanitizeDerivationName.
  toStoreName =
    name:
    let
      parts = builtins.split "[^[:alnum:]+._?=-]+" name;
      joined = builtins.concatStringsSep "-" (builtins.filter builtins.isString parts);
      shortened = builtins.substring 0 200 (builtins.head (builtins.match "\\.*(.*)" joined));
    in
    if shortened == "" then "unknown" else shortened;
in
{
  emit,
  emulators,
  package ? null,
  program ? mainProgram package,
  hosts ? [
    "x86_64-linux"
    "aarch64-linux"
    "riscv64-linux"
    "powerpc64le-linux"
    "s390x-linux"
  ],
  slices ? { },
  name ? builtins.unsafeDiscardStringContext (baseNameOf program),
  extraFlags ? [ ],
}:
{
  inherit name;
  program = "${program}";
  storeName = toStoreName name;
  # Words of the command line, without the folder to write to.
  words = [
    "${program}"
    "--emit=${emit}"
    "--name=${name}"
    "--emulators=dir:${emulators}"
  ]
  ++ map (host: "--host=${host}") hosts
  ++ map (host: "--slice=${host}=${slices.${host}}") (builtins.attrNames slices)
  ++ extraFlags;
  meta = {
    mainProgram = name;
    platforms = hosts;
  };
}
