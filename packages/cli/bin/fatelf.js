// What the fatelf-* commands share. Each has a file of its own: package managers wrap commands in
// scripts, so a command cannot tell its name from how it was started.
import './node-version.js';

/** @param {string} tool */
export async function fatElfTool(tool) {
  const { useCompileCache } = await import('./compile-cache.js');
  useCompileCache();
  const { fatElfTool: run } = await import('../dist/fatelf-tool.js');
  await run(tool, import.meta.url);
}
