# Has the kernel start programs of other CPUs, and FatELF files, as `uport binfmt register` does.
{ config, lib, ... }:
let
  cfg = config.programs.uport.binfmt;
  rules = import ./binfmt.nix;
in
{
  options.programs.uport.binfmt = {
    enable = lib.mkEnableOption "running programs of other CPUs";
    subjects = lib.mkOption {
      type = lib.types.listOf (lib.types.enum (builtins.attrNames rules));
      default = [ ];
      example = [
        "riscv64"
        "fatelf"
      ];
      description = "CPUs by the names that QEMU has for them, and fatelf.";
    };
    interpreters = lib.mkOption {
      type = lib.types.path;
      description = "A folder with a static qemu-CPU for each CPU, and launch for fatelf.";
    };
  };

  config = lib.mkIf cfg.enable {
    boot.binfmt.registrations = builtins.listToAttrs (
      map (subject: {
        name = "uport-${subject}";
        value = {
          inherit (rules.${subject}) magicOrExtension mask;
          interpreter = "${cfg.interpreters}/${rules.${subject}.interpreter}";
          fixBinary = true;
          wrapInterpreterInShell = false;
          preserveArgvZero = true;
        };
      }) cfg.subjects
    );
  };
}
