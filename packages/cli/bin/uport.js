#!/usr/bin/env node
import './node-version.js';

// Builtin modules are taken without `import`, which makes Node load what they only may need.
const { existsSync, readFileSync } = process.getBuiltinModule('node:fs');
const argv = process.argv.slice(2);
const near = (file) => new URL(file, import.meta.url);

/** Asked by scripts for every file they meet: not even the parts of it are loaded one by one. */
async function quickStart() {
  const bundle = near('../dist/quick-start.cjs');
  if (argv[0] !== 'deps' || !existsSync(bundle)) return false;
  const { createRequire } = process.getBuiltinModule('node:module');
  return createRequire(import.meta.url)('../dist/quick-start.cjs').quickStart(argv);
}

// Asked by scripts all the time, and answered before anything else is loaded.
if (argv.length === 1 && ['--version', '-v'].includes(argv[0])) {
  const { version } = JSON.parse(readFileSync(near('../package.json'), 'utf8'));
  process.stdout.write(`${version}\n`);
} else {
  const { useCompileCache } = await import('./compile-cache.js');
  useCompileCache();
  // All is written then: there is nothing that the end has to wait for.
  if (await quickStart()) process.exit();
  const { main } = await import('../dist/main.js');
  await main(import.meta.url);
}
