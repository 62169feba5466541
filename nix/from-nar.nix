# A package from a NAR, unpacked by Nix itself: the same store path on every system.
{
  pname,
  version ? "0",
  hash,
  nar ? null,
  url ? "file://${nar}",
  meta ? { },
}:
import <nix/fetchurl.nix> {
  name = "${pname}-${version}";
  inherit url hash;
  unpack = true;
}
// {
  inherit pname version;
  meta = {
    mainProgram = pname;
  }
  // meta;
}
