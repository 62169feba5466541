import type { AppConfig } from '@uport/core';

export const CONFIG_FORMATS = ['ts', 'mts', 'js', 'json', 'yaml'] as const;

export type ConfigFormat = (typeof CONFIG_FORMATS)[number];

const SCHEMA = './node_modules/uport/dist/config.schema.json';

/** A new configuration file. */
export function configText(app: AppConfig, format: ConfigFormat): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify({ $schema: SCHEMA, ...app }, undefined, 2)}\n`;
    case 'yaml':
      return `# yaml-language-server: $schema=${SCHEMA}\n${yaml(app)}`;
    case 'js':
      return `/** @type {import('uport').UportConfig} */\nexport default ${literal(app)};\n`;
    default:
      // A type only: the file loads though uport is not installed beside it.
      return `import type { UportConfig } from 'uport';\n\nexport default ${literal(app)} satisfies UportConfig;\n`;
  }
}

/** JSON with the names that need no quotes, as people write it. */
function literal(value: unknown, indent = ''): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) return `[${value.map((each) => literal(each, inner)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return string(value);
  const lines = Object.entries(value).map(
    ([name, each]) => `${inner}${key(name)}: ${literal(each, inner)},\n`,
  );
  return `{\n${lines.join('')}${indent}}`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : string(name);
}

function string(value: unknown): string {
  const text = JSON.stringify(value);
  return typeof value === 'string' && !/['\\]/.test(text) ? `'${text.slice(1, -1)}'` : text;
}

/** JSON strings are YAML strings. */
function yaml(app: AppConfig): string {
  return Object.entries(app)
    .map(([name, value]) =>
      Array.isArray(value)
        ? `${name}:\n${value.map((each) => `  - ${JSON.stringify(each)}\n`).join('')}`
        : `${name}: ${JSON.stringify(value)}\n`,
    )
    .join('');
}
