import path from 'node:path';

/** A workspace package: its place in the repository and what others may import of it. */
export interface WorkspacePackage {
  readonly name: string;
  /** Relative to the repository, such as `packages/core`. */
  readonly folder: string;
  /** Keys of `exports`: `.`, `./testing`. */
  readonly entryPoints: readonly string[];
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

/** Which packages each may import; one that is not named here may import all of them. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  '@uport/errors': [],
  '@uport/elf': ['@uport/errors'],
  '@uport/launcher': ['@uport/errors'],
  '@uport/fatelf': ['@uport/elf', '@uport/errors'],
  '@uport/core': ['@uport/elf', '@uport/errors', '@uport/fatelf', '@uport/launcher'],
  uport: ['@uport/core', '@uport/errors', '@uport/fatelf'],
};

/** Packages that work in silence on what they are given: the command line talks and reads its arguments. */
const SILENT = ['errors', 'elf', 'launcher', 'fatelf', 'core'].map(
  (name) => `packages/${name}/src/`,
);

/** Folders of pure data and decisions. */
const PURE = ['packages/core/src/model/', 'packages/core/src/plan/'];

/** Modules of Node's that only compute. */
const COMPUTING = ['node:assert', 'node:buffer', 'node:path', 'node:util'];

const EMITTERS = 'packages/core/src/emitters/';

/**
 * Holds the design's import rules against source texts, by their path in the repository; answers
 * one line for each breach.
 */
export function importBreaches(
  sources: ReadonlyMap<string, string>,
  packages: readonly WorkspacePackage[],
): string[] {
  const breaches: string[] = [];
  const imports = [...sources].flatMap(([from, text]) => readImports(from, text));
  for (const each of imports) breaches.push(...packageBreaches(each, packages));
  for (const [from, text] of sources) {
    if (isTest(from)) continue;
    if (!SILENT.some((folder) => from.startsWith(folder))) continue;
    for (const [use] of withoutComments(text).matchAll(
      /\bconsole\.\w+|\bprocess\.(?:argv|stdout|stderr|exit|exitCode)\b/g,
    )) {
      breaches.push(`${from}: uses ${use}`);
    }
  }
  breaches.push(...emitterBreaches(imports), ...purityBreaches(imports));
  return [...new Set(breaches)].sort();
}

function packageBreaches({ from, to }: Import, packages: readonly WorkspacePackage[]): string[] {
  const own = packages.find((each) => from.startsWith(`${each.folder}/`));
  if (to.startsWith('.')) {
    const target = resolve(from, to);
    // A package's test configuration builds on the one they share.
    if (target === 'vitest.config.ts') return [];
    return own && !target.startsWith(`${own.folder}/`) ? [`${from}: reaches out to ${target}`] : [];
  }
  const other = packages.find((each) => to === each.name || to.startsWith(`${each.name}/`));
  if (!other) return /^(?:\/|file:)/.test(to) ? [`${from}: imports the path ${to}`] : [];
  const entry = `.${to.slice(other.name.length)}`;
  if (!other.entryPoints.includes(entry)) return [`${from}: ${to} is no public entry point`];
  const allowed = own && MAY_IMPORT[own.name];
  if (!allowed || other === own || allowed.includes(other.name)) return [];
  return isTest(from) && other.name === '@uport/testkit' ? [] : [`${from}: may not import ${to}`];
}

function emitterBreaches(imports: readonly Import[]): string[] {
  return imports
    .filter(({ from, to }) => {
      const own = emitterOf(from);
      const other = to.startsWith('.') ? emitterOf(resolve(from, to)) : undefined;
      return own && other && own !== other;
    })
    .map(({ from, to }) => `${from}: imports another emitter, ${to}`);
}

/** The folder's name, for a file in a folder of an emitter's own. */
function emitterOf(file: string): string | undefined {
  const [name, inside] = file.startsWith(EMITTERS) ? file.slice(EMITTERS.length).split('/') : [];
  return inside === undefined ? undefined : name;
}

/** Follows the imports of the pure folders to wherever they lead at run time. */
function purityBreaches(imports: readonly Import[]): string[] {
  const breaches: string[] = [];
  const seen = new Set<string>();
  const queue = imports.map(({ from }) => from).filter((file) => isPure(file) && !isTest(file));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { from, to, typeOnly } of imports) {
      if (from !== file) continue;
      const target = to.startsWith('.') ? resolve(from, to) : to;
      if (target.startsWith(EMITTERS))
        breaches.push(`${from}: model and plan may not know ${target}`);
      if (typeOnly) continue;
      if (to.startsWith('node:') && !COMPUTING.includes(to)) {
        breaches.push(`${from}: model and plan may not reach ${to}`);
      }
      if (to.startsWith('.')) queue.push(target);
    }
  }
  return breaches;
}

function isPure(file: string): boolean {
  return PURE.some((folder) => file.startsWith(folder));
}

/** Tests and the parts that only tests use. */
function isTest(file: string): boolean {
  return /\.test\.ts$|\/testing\//.test(file);
}

function resolve(from: string, to: string): string {
  return path.posix.join(path.posix.dirname(from), to);
}

function readImports(from: string, text: string): Import[] {
  const code = withoutComments(text);
  const statements = code.matchAll(
    /\b(?:import|export)\s+(type\s)?(?:[\w*{}\s,$]*?\sfrom\s+)?['"]([^'"\n]+)['"]/g,
  );
  const calls = code.matchAll(/\b(?:import|require)\(\s*['"]([^'"\n]+)['"]/g);
  return [
    ...[...statements].map((match) => ({
      from,
      to: match[2] as string,
      typeOnly: match[1] !== undefined,
    })),
    ...[...calls].map((match) => ({ from, to: match[1] as string, typeOnly: false })),
  ];
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
