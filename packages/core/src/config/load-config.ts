import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';
import { importModule } from './import-module.ts';
import { type AppConfig, appSchema, configSchema } from './schema.ts';

/** The names that are looked for, in this order. */
export const CONFIG_NAMES: readonly string[] = Object.freeze([
  'uport.config.ts',
  'uport.config.mts',
  'uport.config.js',
  'uport.config.mjs',
  'uport.config.json',
  'uport.config.yaml',
  'uport.config.yml',
]);

/** A configuration file, read and checked. */
export interface LoadedConfig {
  /** Absolute. */
  readonly file: string;
  /** What its relative paths are relative to. */
  readonly folder: string;
  /** One, named after nothing, or several by name. */
  readonly apps: readonly LoadedApp[];
}

export interface LoadedApp {
  /** Undefined when the file says one app only. */
  readonly name: string | undefined;
  readonly config: AppConfig;
}

const MAX_SIZE = 4 << 20;

/**
 * The configuration file of a folder.
 *
 * @returns undefined when there is none
 * @throws UportError UPORT_CONFIG_AMBIGUOUS when there are several
 */
export async function findConfig(folder: string): Promise<string | undefined> {
  const found: string[] = [];
  for (const name of CONFIG_NAMES) {
    const file = path.join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile()) found.push(file);
  }
  if (found.length <= 1) return found[0];
  throw new UportError({
    code: 'UPORT_CONFIG_AMBIGUOUS',
    category: 'usage',
    message: `there are ${found.length} configurations: ${found.map((each) => path.basename(each)).join(', ')}`,
    hint: 'keep one, or name it with --config',
    file: folder,
  });
}

/**
 * Reads a configuration file. One in JavaScript or TypeScript is run: its default export is the
 * configuration.
 *
 * @throws UportError UPORT_CONFIG_INVALID, UPORT_NOT_FOUND
 */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const absolute = path.resolve(file);
  const value = await readValue(absolute);
  const apps = checkApps(value, absolute);
  return { file: absolute, folder: path.dirname(absolute), apps };
}

async function readValue(file: string): Promise<unknown> {
  const status = await stat(file).catch((error: unknown) => {
    throw systemError(error, file);
  });
  if (!status.isFile() || status.size > MAX_SIZE) {
    throw invalid(file, 'it is no file of at most 4 MiB');
  }
  const extension = path.extname(file);
  if (extension === '.json') return readJson(file);
  if (extension === '.yaml' || extension === '.yml') return readYaml(file);
  try {
    const exports = await importModule(pathToFileURL(file));
    if ('default' in exports) return exports.default;
  } catch (error) {
    throw invalid(file, error instanceof Error ? error.message : String(error), error);
  }
  throw invalid(file, 'it has no default export');
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw error instanceof SyntaxError
      ? invalid(file, error.message, error)
      : systemError(error, file);
  }
}

async function readYaml(file: string): Promise<unknown> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(await readFile(file, 'utf8'), { prettyErrors: true });
  const [fault] = document.errors;
  if (fault) throw invalid(file, fault.message, fault);
  return document.toJS({ maxAliasCount: 100 });
}

function checkApps(value: unknown, file: string): readonly LoadedApp[] {
  const several = typeof value === 'object' && value !== null && 'apps' in value;
  const result = several ? configSchema.safeParse(value) : checkOne(value);
  if (!result.success) throw invalid(file, explain(result.error.issues, several));
  if (!several) return [{ name: undefined, config: result.data as AppConfig }];
  const { apps } = value as { apps: Record<string, AppConfig> };
  if (Object.keys(apps).length === 0) throw invalid(file, 'it has no app');
  return Object.entries(apps).map(([name, config]) => ({ name, config }));
}

function checkOne(value: unknown) {
  if (typeof value !== 'object' || value === null) return appSchema.safeParse(value);
  const { $schema: _, ...app } = value as { readonly $schema?: unknown };
  return appSchema.safeParse(app);
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly errors?: readonly (readonly Issue[])[];
}

/** The first faults, each with where it is. Of a choice, the branch that came furthest is shown. */
function explain(issues: readonly unknown[], several: boolean): string {
  const lines: string[] = [];
  const visit = (issue: Issue, above: readonly PropertyKey[]): void => {
    const place = [...above, ...issue.path];
    if (issue.code === 'invalid_union' && issue.errors && issue.errors.length > 0) {
      const branches = issue.errors.filter((branch) => branch.length > 0);
      const best = several && above.length === 0 ? branches[0] : deepest(branches);
      for (const inner of best ?? []) visit(inner, place);
      return;
    }
    lines.push(`${place.join('.') || 'it'}: ${issue.message}`);
  };
  for (const issue of issues) visit(issue as Issue, []);
  return lines.slice(0, 5).join('; ');
}

function deepest(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const depth = (branch: readonly Issue[]) =>
    Math.max(
      ...branch.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)),
    );
  return [...branches].sort((a, b) => depth(b) - depth(a))[0];
}

function invalid(file: string, what: string, cause?: unknown): UportError {
  return new UportError({
    code: 'UPORT_CONFIG_INVALID',
    category: 'input',
    message: `the configuration cannot be used: ${what}`,
    hint: 'see docs/config.md for what it may say',
    file,
    ...(cause !== undefined && { cause }),
  });
}
