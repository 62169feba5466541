// What a program loads at run time, so that DT_NEEDED does not tell: best knowledge, never complete.
import type { Linker, RuntimeLoad } from './closure.ts';
import { findDlopenNames } from './dlopen-names.ts';
import { expandPattern } from './ld-so-conf.ts';
import { type LibraryRoot, readRootText } from './library-root.ts';
import type { Loaded } from './loaded.ts';
import {
  DLOPEN_FUNCTIONS,
  GCONV_FUNCTIONS,
  LOCALE_FUNCTIONS,
  NSS_FUNCTIONS,
  RUNTIME_RULES,
  type RuntimeRule,
  UNWINDING_FUNCTIONS,
} from './runtime-rules.ts';

export interface RuntimeContext {
  readonly loaded: readonly Loaded[];
  readonly root: LibraryRoot;
  readonly linker: Linker;
  /** Where the program would find a library that it opens by name. */
  lookUp(name: string): string | undefined;
}

/** Files of a folder of plug-ins that are listed. */
const MAX_FOUND = 500;

export function findRuntimeLoads(context: RuntimeContext): readonly RuntimeLoad[] {
  const imports = importsOf(context.loaded);
  return [
    ...(context.linker === 'glibc' ? libcLoads(context, imports) : []),
    ...RUNTIME_RULES.flatMap((rule) => applyRule(rule, context)),
    ...noted(context),
    ...literals(context, imports),
  ];
}

/** Which of the functions that matter each object names. */
type Imports = ReadonlyMap<string, readonly Loaded[]>;

/** They define these functions instead of calling them. */
const C_LIBRARY = /^(?:libc|libpthread|libdl|libm|librt|ld-linux.*|ld64|ld|ld-musl.*)\.so\b/;

const isOfTheCLibrary = (object: Loaded) =>
  object.foundBy === 'interpreter' || C_LIBRARY.test(object.elf.dynamic?.soname ?? '');

function importsOf(loaded: readonly Loaded[]): Imports {
  const found = new Map<string, Loaded[]>();
  for (const object of loaded) {
    if (isOfTheCLibrary(object)) continue;
    for (const name of object.functions) found.set(name, [...(found.get(name) ?? []), object]);
  }
  return found;
}

function callers(imports: Imports, functions: readonly string[]): readonly string[] {
  return [
    ...new Set(functions.flatMap((name) => (imports.get(name) ?? []).map((object) => object.path))),
  ];
}

function libcLoads(context: RuntimeContext, imports: Imports): readonly RuntimeLoad[] {
  const { loaded, root } = context;
  const libc = loaded.find(({ elf }) => elf.dynamic?.soname === 'libc.so.6');
  if (libc === undefined) return [];
  const libDir = libc.path.slice(0, libc.path.lastIndexOf('/'));
  const loads: RuntimeLoad[] = [...nss(context, imports)];
  const iconv = callers(imports, GCONV_FUNCTIONS);
  if (iconv.length > 0) {
    const patterns = [`${libDir}/gconv/gconv-modules`, `${libDir}/gconv/*.so`];
    loads.push(files('gconv', 'character set conversions', iconv, root, patterns));
  }
  const locale = callers(imports, LOCALE_FUNCTIONS);
  if (locale.length > 0) {
    const patterns = ['/usr/lib/locale/*', '/usr/share/locale'];
    loads.push(files('locale', 'locales and translations', locale, root, patterns));
  }
  const unwinding = callers(imports, UNWINDING_FUNCTIONS);
  const unwinder = 'libgcc_s.so.1';
  if (unwinding.length > 0 && !loaded.some(({ names }) => names.has(unwinder))) {
    loads.push(library('thread cancellation', unwinder, unwinding, context));
  }
  return loads;
}

/** The modules that nsswitch.conf names for the databases that are asked; without it, glibc's defaults. */
function nss(context: RuntimeContext, imports: Imports): readonly RuntimeLoad[] {
  const text = readRootText(context.root, '/etc/nsswitch.conf') ?? '';
  const modules = new Map<string, Set<string>>();
  for (const [database, functions] of Object.entries(NSS_FUNCTIONS)) {
    const asking = callers(imports, functions);
    if (asking.length === 0) continue;
    const line = new RegExp(`^\\s*${database}:(.*)$`, 'm').exec(text)?.[1];
    const services = (line ?? (database === 'hosts' ? 'dns files' : 'files'))
      .replace(/\[[^\]]*\]|#.*/g, ' ')
      .split(/\s+/)
      .filter((word) => /^[\w-]+$/.test(word));
    for (const service of services) {
      const name = `libnss_${service}.so.2`;
      const known = modules.get(name) ?? new Set();
      for (const each of asking) known.add(each);
      modules.set(name, known);
    }
  }
  return [...modules].map(([name, asking]) => library('nss', name, [...asking], context));
}

function library(
  kind: RuntimeLoad['kind'],
  name: string,
  askedBy: readonly string[],
  context: RuntimeContext,
): RuntimeLoad {
  const place = context.lookUp(name);
  return place === undefined
    ? { kind, name, askedBy, found: [], missing: [name] }
    : { kind, name, askedBy, found: [place], missing: [] };
}

function files(
  kind: RuntimeLoad['kind'],
  name: string,
  askedBy: readonly string[],
  root: LibraryRoot,
  patterns: readonly string[],
): RuntimeLoad {
  const found: string[] = [];
  const missing: string[] = [];
  for (const pattern of patterns) {
    const matches = expandPattern(root, pattern).filter((each) => root.has(each));
    if (matches.length === 0) missing.push(pattern);
    found.push(...matches);
  }
  return { kind, name, askedBy, found: found.slice(0, MAX_FOUND), missing };
}

function applyRule(rule: RuntimeRule, { loaded }: RuntimeContext): readonly RuntimeLoad[] {
  return loaded.flatMap((object) => {
    const match = rule.soname.exec(object.elf.dynamic?.soname ?? '');
    if (!match || object.foundBy === 'given') return [];
    const libDir = object.path.slice(0, object.path.lastIndexOf('/'));
    const patterns = rule.files.map((file) =>
      file.replaceAll('$LIBDIR', () => libDir).replaceAll('$1', () => match[1] ?? ''),
    );
    return [files(rule.kind, rule.name, [object.path], object.root, patterns)];
  });
}

/** What packages say of themselves. */
function noted(context: RuntimeContext): readonly RuntimeLoad[] {
  const loads: RuntimeLoad[] = [];
  for (const object of context.loaded) {
    for (const { sonames, priority, description, feature } of object.dlopenNotes) {
      const place = sonames.map((name) => context.lookUp(name)).find((each) => each !== undefined);
      const text = description ?? feature;
      loads.push({
        kind: 'dlopen note',
        name: sonames.join(' or '),
        askedBy: [object.path],
        found: place === undefined ? [] : [place],
        missing: place === undefined ? sonames : [],
        priority,
        ...(text !== undefined && { description: text }),
      });
    }
  }
  return loads;
}

/** Names of shared objects in files that call dlopen. */
function literals(context: RuntimeContext, imports: Imports): readonly RuntimeLoad[] {
  const asking = new Map<string, string[]>();
  const objects = new Set(DLOPEN_FUNCTIONS.flatMap((name) => imports.get(name) ?? []));
  const loadedNames = new Set(context.loaded.flatMap(({ names }) => [...names]));
  for (const object of objects) {
    const own = new Set([object.elf.dynamic?.soname, ...(object.elf.dynamic?.needed ?? [])]);
    for (const name of findDlopenNames(object.found.file, object.elf.segments)) {
      if (own.has(name) || loadedNames.has(name)) continue;
      asking.set(name, [...(asking.get(name) ?? []), object.path]);
    }
  }
  return [...asking].map(([name, askedBy]) => {
    if (!name.startsWith('/')) return library('dlopen', name, askedBy, context);
    const found = context.root.find(name) !== undefined;
    return {
      kind: 'dlopen' as const,
      name,
      askedBy,
      found: found ? [name] : [],
      missing: found ? [] : [name],
    };
  });
}
