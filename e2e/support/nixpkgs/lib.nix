let
  toList = value: if builtins.isList value then value else [ value ];
in
{
  inherit toList;
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
  escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
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
