// Puts dist/quick-start.js and all that it imports into one file: loading forty small ones takes longer
// than what they do. Not minified, so that it can be read; a build without this step works, only slower.
import path from 'node:path';
import { build } from 'rolldown';

const dist = path.join(import.meta.dirname, '../dist');
await build({
  input: path.join(import.meta.dirname, '../src/quick-start.ts'),
  platform: 'node',
  treeshake: { moduleSideEffects: false },
  output: { file: path.join(dist, 'quick-start.cjs'), format: 'cjs', sourcemap: true },
});
