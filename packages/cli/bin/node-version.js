// Imported before anything that an older Node cannot load.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `uport: UPORT_NODE_TOO_OLD: this is Node ${process.versions.node}; use Node 22.15 or newer\n`,
  );
  process.exit(2);
}
