// The package that npm publishes has a copy of the repository's nix/: `copy` before packing, `remove` after.
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';

const copy = path.join(import.meta.dirname, '../nix');
const source = path.join(import.meta.dirname, '../../../nix');
rmSync(copy, { recursive: true, force: true });
if (process.argv[2] === 'copy') {
  const tools = path.join(source, 'tools');
  cpSync(source, copy, { recursive: true, filter: (file) => file !== tools });
}
