// Writes oclif.manifest.json, so that a start need not load every command, docs/cli.md from the same
// data, and the JSON schema of configurations.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Config } from '@oclif/core';
import { configJsonSchema } from '@uport/core/config';
import { cliReference } from '../dist/reference.js';

const root = path.join(import.meta.dirname, '..');
const config = await Config.load({ root, ignoreManifest: true });
const plugin = config.plugins.get('uport');
writeFileSync(
  path.join(root, 'oclif.manifest.json'),
  `${JSON.stringify(plugin.manifest, undefined, 2)}\n`,
);
writeFileSync(
  path.join(root, 'dist/config.schema.json'),
  `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`,
);
writeFileSync(path.join(root, '../../docs/cli.md'), cliReference(plugin.manifest));
