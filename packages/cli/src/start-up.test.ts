// Commands load what they use: a start must not cost the whole of @uport/core.
import { execFileSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/uport.js', import.meta.url));

/** Prints the files that were loaded, at the end. */
const RECORDER = `
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  const files = [];
  registerHooks({ load: (url, context, next) => (files.push(url), next(url, context)) });
  process.on('exit', () => writeSync(2, files.join('\\n')));
`;

function loadedBy(...args: readonly string[]): readonly string[] {
  const recorder = `data:text/javascript,${encodeURIComponent(RECORDER)}`;
  const script = ['-c', '"$@" 2>&1 >/dev/null', 'sh'];
  const command = [process.execPath, '--import', recorder, BIN, ...args];
  return execFileSync('/bin/sh', [...script, ...command], { encoding: 'utf8' }).split('\n');
}

test.each([
  [['deps', process.execPath, '--hwcaps', 'none'], 40],
  [['matrix', 'i386'], 20],
  [['inspect', process.execPath], 50],
] as const)('%s', (args, most) => {
  const files = loadedBy(...args);
  expect(files).toContain(pathToFileURL(BIN).href);
  const core = files.filter((file) => /\/core\/dist\//.test(file));
  expect(core.length).toBeGreaterThan(0);
  expect(core.length).toBeLessThan(most);
  expect(core.filter((file) => /\/(?:registry|emitters|debian|rootfs|nix)\//.test(file))).toEqual(
    [],
  );
});

test('deps loads neither oclif nor @uport/core file by file', () => {
  const files = loadedBy('deps', process.execPath);
  expect(files).toContain(pathToFileURL(BIN).href);
  expect(files.filter((file) => /node_modules|\/core\/dist\//.test(file))).toEqual([]);
});
