#!/usr/bin/env node
import { readFileSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `uport: UPORT_NODE_TOO_OLD: this is Node ${process.versions.node}; use Node 22.15 or newer\n`,
  );
  process.exit(2);
}

// Asked by scripts all the time, and answered before anything else is loaded.
if (process.argv.length === 3 && ['--version', '-v'].includes(process.argv[2])) {
  const file = new URL('../package.json', import.meta.url);
  process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`);
} else {
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  const { main } = await import('../dist/main.js');
  await main(import.meta.url);
}
