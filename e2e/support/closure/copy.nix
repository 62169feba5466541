# A derivation that busybox makes: `script` gets the attributes of `env` as variables.
name: script: env:
derivation (
  {
    inherit name;
    system = builtins.currentSystem;
    builder = "${./bin}/busybox";
    args = [
      "sh"
      "-ec"
      script
    ];
    PATH = "${./bin}";
  }
  // env
)
