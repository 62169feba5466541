// The main job on a real program: builds an image of a riscv64 program for every CPU and runs the program out of it here.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

for (const command of [
  ['npx', 'uport', 'build', 'examples/nqueens/nqueens', '--emit', 'oci', '-o', 'dist'],
  ['npx', 'uport', 'run', 'dist/oci'],
]) {
  console.log(`\n$ ${command.join(' ')}`);
  const { status } = spawnSync(command[0], command.slice(1), { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
