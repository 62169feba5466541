/**
 * Nix source as plain data. Texts are data: whatever they hold, the printer quotes them. What Nix
 * cannot write is refused when it is printed.
 */
export type NixExpr =
  | NixString
  | NixScript
  | { readonly type: 'integer'; readonly value: number | bigint }
  /** A path beside the file: `./package.nix`, `./.`. */
  | { readonly type: 'path'; readonly path: string }
  /** `<nix/fetchurl.nix>`. */
  | { readonly type: 'lookup'; readonly path: string }
  /** `builtins`, `true`, `null`. */
  | { readonly type: 'variable'; readonly name: string }
  | NixSelect
  /** `set ? a.b`. */
  | { readonly type: 'has'; readonly set: NixExpr; readonly path: readonly NixName[] }
  | { readonly type: 'call'; readonly function: NixExpr; readonly args: readonly NixExpr[] }
  | { readonly type: 'function'; readonly parameter: NixParameter; readonly body: NixExpr }
  | { readonly type: 'list'; readonly items: readonly NixExpr[] }
  | NixSet
  | { readonly type: 'let'; readonly bindings: readonly NixBinding[]; readonly body: NixExpr }
  | { readonly type: 'with'; readonly scope: NixExpr; readonly body: NixExpr }
  | { readonly type: 'if'; readonly test: NixExpr; readonly then: NixExpr; readonly else: NixExpr }
  | { readonly type: 'assert'; readonly test: NixExpr; readonly body: NixExpr }
  | NixOperation
  | { readonly type: 'not'; readonly operand: NixExpr };

/** `"text ${expr}"`. An expression in it must be short: names, selections, calls of up to two of them. */
export interface NixString {
  readonly type: 'string';
  readonly parts: readonly (string | NixExpr)[];
}

/** A `''` string of several lines, made from source text by `nix.script` only, never from data. */
export interface NixScript {
  readonly type: 'script';
  /** Each line's parts, without newlines. */
  readonly lines: readonly (readonly (string | NixExpr)[])[];
}

export interface NixSelect {
  readonly type: 'select';
  readonly set: NixExpr;
  readonly path: readonly NixName[];
  /** `set.path or fallback`. */
  readonly fallback?: NixExpr;
}

export interface NixSet {
  readonly type: 'set';
  readonly recursive: boolean;
  readonly bindings: readonly NixBinding[];
}

/** An attribute's name: any text, or a string with expressions in it. */
export type NixName = string | NixString;

export type NixBinding = {
  /** Lines above it, without `#`. */
  readonly comment?: readonly string[];
  /** An empty line above it; never above the first. */
  readonly gap?: boolean;
} & (
  | { readonly type: 'bind'; readonly path: readonly NixName[]; readonly value: NixExpr }
  | { readonly type: 'inherit'; readonly from?: NixExpr; readonly names: readonly string[] }
);

export type NixParameter =
  | { readonly type: 'name'; readonly name: string }
  | {
      /** `{ a, b ? 1, ... }`. */
      readonly type: 'pattern';
      readonly attributes: readonly { readonly name: string; readonly fallback?: NixExpr }[];
      readonly open: boolean;
      /** `whole@{ … }`. */
      readonly whole?: string;
    };

/** Operators that take any number of operands, in a row. */
export type NixChainOperator = '++' | '//' | '+' | '&&' | '||';
export type NixBinaryOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | '->';

export interface NixOperation {
  readonly type: 'operation';
  readonly operator: NixChainOperator | NixBinaryOperator;
  /** Two, or more for those that chain. */
  readonly operands: readonly NixExpr[];
}

/** A file of Nix source. */
export interface NixFile {
  /** Lines at its top, without `#`. */
  readonly comment?: readonly string[];
  readonly body: NixExpr;
}

type Names = string | readonly NixName[];

/** `'a.b'` would be one name with a dot; a list is a path. */
function names(path: Names): readonly NixName[] {
  return typeof path === 'string' ? [path] : path;
}

interface BindingNotes {
  readonly comment?: readonly string[];
  readonly gap?: boolean;
}

/** Makes the nodes. */
export const nix = Object.freeze({
  string: (...parts: readonly (string | NixExpr)[]): NixString => ({ type: 'string', parts }),
  integer: (value: number | bigint): NixExpr => ({ type: 'integer', value }),
  path: (path: string): NixExpr => ({ type: 'path', path }),
  lookup: (path: string): NixExpr => ({ type: 'lookup', path }),
  /** `nix.name('lib', 'licenses', 'mit')` is `lib.licenses.mit`. */
  name: (name: string, ...path: readonly NixName[]): NixExpr => {
    const variable: NixExpr = { type: 'variable', name };
    return path.length === 0 ? variable : { type: 'select', set: variable, path };
  },
  select: (set: NixExpr, path: Names, fallback?: NixExpr): NixExpr => ({
    type: 'select',
    set,
    path: names(path),
    ...(fallback !== undefined && { fallback }),
  }),
  has: (set: NixExpr, path: Names): NixExpr => ({ type: 'has', set, path: names(path) }),
  call: (callee: NixExpr, ...args: readonly NixExpr[]): NixExpr => ({
    type: 'call',
    function: callee,
    args,
  }),
  /** `nix.lambda('self', 'super', body)` is `self: super: body`. */
  lambda: (...parts: readonly [...names: string[], body: NixExpr]): NixExpr => {
    const body = parts[parts.length - 1] as NixExpr;
    return (parts.slice(0, -1) as string[]).reduceRight<NixExpr>(
      (inner, name) => ({ type: 'function', parameter: { type: 'name', name }, body: inner }),
      body,
    );
  },
  /** `{ a, b ? 1, ... }: body`; an attribute with a fallback is a pair. */
  pattern: (
    attributes: readonly (string | readonly [name: string, fallback: NixExpr])[],
    body: NixExpr,
    options: { readonly open?: boolean; readonly whole?: string } = {},
  ): NixExpr => ({
    type: 'function',
    parameter: {
      type: 'pattern',
      attributes: attributes.map((attribute) =>
        typeof attribute === 'string'
          ? { name: attribute }
          : { name: attribute[0], fallback: attribute[1] },
      ),
      open: options.open ?? false,
      ...(options.whole !== undefined && { whole: options.whole }),
    },
    body,
  }),
  list: (...items: readonly NixExpr[]): NixExpr => ({ type: 'list', items }),
  set: (...bindings: readonly NixBinding[]): NixExpr => ({
    type: 'set',
    recursive: false,
    bindings,
  }),
  recursiveSet: (...bindings: readonly NixBinding[]): NixExpr => ({
    type: 'set',
    recursive: true,
    bindings,
  }),
  bind: (path: Names, value: NixExpr, notes: BindingNotes = {}): NixBinding => ({
    type: 'bind',
    path: names(path),
    value,
    ...notes,
  }),
  inherit: (inherited: readonly string[], notes: BindingNotes = {}): NixBinding => ({
    type: 'inherit',
    names: inherited,
    ...notes,
  }),
  inheritFrom: (
    from: NixExpr,
    inherited: readonly string[],
    notes: BindingNotes = {},
  ): NixBinding => ({ type: 'inherit', from, names: inherited, ...notes }),
  let: (bindings: readonly NixBinding[], body: NixExpr): NixExpr => ({
    type: 'let',
    bindings,
    body,
  }),
  with: (scope: NixExpr, body: NixExpr): NixExpr => ({ type: 'with', scope, body }),
  if: (test: NixExpr, then: NixExpr, otherwise: NixExpr): NixExpr => ({
    type: 'if',
    test,
    then,
    else: otherwise,
  }),
  assert: (test: NixExpr, body: NixExpr): NixExpr => ({ type: 'assert', test, body }),
  not: (operand: NixExpr): NixExpr => ({ type: 'not', operand }),
  operation: (operator: NixOperation['operator'], ...operands: readonly NixExpr[]): NixExpr => ({
    type: 'operation',
    operator,
    operands,
  }),
  script,
  value,
});

/**
 * A `''` string from literal source text; expressions become `${…}`. The lines' common indent is
 * taken away, and so are an empty first line and the last one's indent.
 */
function script(texts: TemplateStringsArray, ...expressions: readonly NixExpr[]): NixScript {
  const lines: (string | NixExpr)[][] = [[]];
  texts.forEach((text, i) => {
    const [first, ...more] = text.split('\n');
    lines[lines.length - 1]?.push(first ?? '');
    for (const line of more) lines.push([line]);
    const expression = expressions[i];
    if (expression !== undefined) lines[lines.length - 1]?.push(expression);
  });
  const blank = (line: readonly (string | NixExpr)[]) =>
    line.every((part) => typeof part === 'string' && part.trim() === '');
  if (lines.length > 1 && blank(lines[0] as [])) lines.shift();
  if (lines.length > 1 && blank(lines[lines.length - 1] as [])) lines.pop();
  const indents = lines
    .filter((line) => !blank(line))
    .map(([first]) => (typeof first === 'string' ? first.length - first.trimStart().length : 0));
  const indent = indents.length === 0 ? 0 : Math.min(...indents);
  return {
    type: 'script',
    lines: lines.map((line) => {
      if (blank(line)) return [];
      const [first, ...rest] = line;
      return [typeof first === 'string' ? first.slice(indent) : (first as NixExpr), ...rest];
    }),
  };
}

/** What JSON can hold; `undefined` members are left out. */
export type NixData =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly NixData[]
  | { readonly [name: string]: NixData | undefined };

/** The expression of a value. Numbers must be whole. */
function value(data: NixData): NixExpr {
  if (typeof data === 'string') return nix.string(data);
  if (typeof data === 'number' || typeof data === 'bigint') return nix.integer(data);
  if (data === null || typeof data === 'boolean') return nix.name(String(data));
  if (Array.isArray(data)) return nix.list(...(data as readonly NixData[]).map(value));
  const members = Object.entries(data as Readonly<Record<string, NixData | undefined>>);
  return nix.set(
    ...members.flatMap(([name, member]) =>
      member === undefined ? [] : [nix.bind(name, value(member))],
    ),
  );
}
