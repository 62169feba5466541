let
  toList = value: if builtins.isList value then value else [ value ];
in
{
  inherit toList;
  remove = unwanted: builtins.filter (each: each != unwanted);
  platforms.linux = [ "x86_64-linux" ];
  licenses.mit = {
    spdxId = "MIT";
    shortName = "mit";
    free = true;
  };
  licenses.unfree = {
    shortName = "unfree";
    free = false;
  };
  getLicenseFromSpdxId = spdxId: {
    inherit spdxId;
    shortName = spdxId;
    free = true;
  };
  sourceTypes.binaryNativeCode = {
    shortName = "binaryNativeCode";
    isSource = false;
  };
  importJSON = file: builtins.fromJSON (builtins.readFile file);
  escapeShellArgs =
    let
      quote = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    in
    words: builtins.concatStringsSep " " (map quote words);
  # Modules: what a definition says, without merging.
  mkIf = condition: value: if condition then value else { };
  mkEnableOption = description: { inherit description; };
  mkOption = option: option;
  types = {
    enum = values: values;
    listOf = type: type;
    path = "path";
  };
}
