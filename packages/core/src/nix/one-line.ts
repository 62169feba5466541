// The form of an expression on one line, where there is one.
import { UportError } from '@uport/errors';
import {
  escapeScript,
  escapeString,
  identifier,
  integer,
  isNixIdentifier,
  lookupPath,
  quote,
  relativePath,
} from './lexemes.ts';
import {
  atom,
  base,
  type Call,
  HAS,
  type Inherit,
  isAbsorbed,
  isFullSet,
  isSimple,
  type Lambda,
  NOT,
  type Node,
  operand,
  operandsOf,
  type Pattern,
  parameters,
  spine,
  updatesSet,
  wrappedBody,
} from './nodes.ts';
import type { NixBinding, NixExpr, NixName } from './syntax.ts';

const flats = new WeakMap<object, string | null>();

/** The form of one line, where there is one. */
export function flat(node: Node): string | undefined {
  const known = flats.get(node);
  if (known !== undefined) return known ?? undefined;
  const line = flatten(node);
  flats.set(node, line ?? null);
  return line;
}

function flatten(node: Node): string | undefined {
  switch (node.type) {
    case 'string':
      return stringText(node.parts);
    case 'script':
    case 'let':
    case 'assert':
      return undefined;
    case 'integer':
      return integer(node.value);
    case 'path':
      return relativePath(node.path);
    case 'lookup':
      return lookupPath(node.path);
    case 'variable':
      return identifier(node.name);
    case 'keyword':
      return node.text;
    case 'parens':
      return join('(', flat(node.inner), ')');
    case 'select': {
      const selection = join(flat(base(node)), '.', attributePath(node.path));
      if (node.fallback === undefined) return selection;
      return join(selection, ' or ', flat(atom(node.fallback)));
    }
    case 'has':
      return join(flat(operand(node.set, HAS)), ' ? ', attributePath(node.path));
    case 'call':
      return flatCall(node);
    case 'function':
      return flatFunction(node);
    case 'list': {
      const [item, more] = node.items;
      if (item === undefined) return '[ ]';
      return more === undefined ? join('[ ', flat(atom(item)), ' ]') : undefined;
    }
    case 'set': {
      const [binding, more] = node.bindings;
      const brace = node.recursive ? 'rec {' : '{';
      if (binding === undefined) return `${brace} }`;
      return more === undefined ? join(brace, ' ', flatBinding(binding), ' }') : undefined;
    }
    case 'with':
      if (isFullSet(node.body)) return undefined;
      return join('with ', flat(node.scope), '; ', flat(node.body));
    case 'if':
      // Chains are always opened.
      if (node.else.type === 'if') return undefined;
      return join('if ', flat(node.test), ' then ', flat(node.then), ' else ', flat(node.else));
    case 'operation':
      return joinAll(operandsOf(node).map(flat), ` ${node.operator} `);
    case 'not':
      return join('!', flat(operand(node.operand, NOT)));
  }
}

function flatCall(call: Call): string | undefined {
  const { callee, args } = spine(call);
  const last = args[args.length - 1] as Node;
  return joinAll([flat(callee), ...args.slice(0, -1).map(flatArgument), flatLast(last)], ' ');
}

/** In front of other arguments a short list of names stays on its line. */
export function flatArgument(node: Node): string | undefined {
  if (node.type !== 'list' || node.items.length > 6 || !node.items.every(isSimple)) {
    return flat(node);
  }
  return node.items.length < 2
    ? flat(node)
    : join('[ ', joinAll(node.items.map(flatAtom), ' '), ' ]');
}

/** A set that a last argument in parentheses wraps is opened. */
export function flatLast(node: Node): string | undefined {
  const body = node.type === 'parens' ? wrappedBody(node.inner) : undefined;
  return body !== undefined && isFullSet(body) ? undefined : flat(node);
}

function flatAtom(node: NixExpr): string | undefined {
  return flat(atom(node));
}

function flatFunction(node: Lambda): string | undefined {
  const { names, body } = parameters(node);
  if (names === undefined) {
    const pattern = node.parameter as Pattern;
    // A pattern without a name for the whole has its body on the next line, always.
    if (pattern.whole === undefined || isFullSet(body)) return undefined;
    return join(flatPattern(pattern), ': ', flat(body));
  }
  if (names.length > 2 && !isAbsorbed(body)) return undefined;
  return join(names.map((name) => `${name}: `).join(''), flat(body));
}

/** One of at most two names without fallbacks. */
export function flatPattern({ attributes, open, whole }: Pattern): string | undefined {
  const isShort = attributes.length <= 2 && attributes.every((each) => each.fallback === undefined);
  if (!isShort) return undefined;
  const names = [...attributes.map(({ name }) => identifier(name)), ...(open ? ['...'] : [])];
  const prefix = whole === undefined ? '' : `${identifier(whole)}@`;
  return names.length === 0 ? `${prefix}{ }` : `${prefix}{ ${names.join(', ')} }`;
}

function flatBinding(binding: NixBinding): string | undefined {
  if (binding.comment !== undefined) return undefined;
  if (binding.type === 'inherit') return flatInherit(binding);
  const { value } = binding;
  // A set as a value is opened, but for one that only inherits.
  if (isFullSet(value) && value.bindings[0]?.type !== 'inherit') return undefined;
  if (value.type === 'operation' && updatesSet(value)) return undefined;
  return join(attributePath(binding.path), ' = ', flat(value), ';');
}

export function flatInherit({ from, names }: Inherit): string | undefined {
  if (names.length > 3) return undefined;
  const source = from === undefined ? '' : join('(', flat(from), ') ');
  return join('inherit ', source, names.map(attributeName).join(' '), ';');
}

export function attributePath(path: readonly NixName[]): string {
  return path.map(attributeName).join('.');
}

export function attributeName(name: NixName): string {
  if (typeof name !== 'string') return stringText(name.parts);
  return isNixIdentifier(name) ? name : quote(name);
}

function stringText(parts: readonly (string | NixExpr)[]): string {
  return `"${quoted(parts, escapeString)}"`;
}

export function scriptLine(parts: readonly (string | NixExpr)[]): string {
  return quoted(parts, escapeScript);
}

export function quoted(
  parts: readonly (string | NixExpr)[],
  quoteText: typeof escapeScript,
): string {
  // Texts side by side may meet in `${`.
  const merged: (string | NixExpr)[] = [];
  for (const part of parts) {
    const last = merged[merged.length - 1];
    if (typeof part === 'string' && typeof last === 'string') {
      merged[merged.length - 1] = last + part;
    } else {
      merged.push(part);
    }
  }
  return merged
    .map((part, i) =>
      typeof part === 'string' ? quoteText(part, i + 1 < merged.length) : interpolation(part),
    )
    .join('');
}

function interpolation(node: NixExpr): string {
  const line = isSimple(node) ? flat(node) : undefined;
  if (line !== undefined) return `\${${line}}`;
  throw new UportError({
    code: 'UPORT_NIX_INTERPOLATION_INVALID',
    category: 'internal',
    message: `a ${node.type} stands inside a string`,
    hint: 'bind it to a name with let, and put the name into the string',
  });
}

export function join(...parts: readonly (string | undefined)[]): string | undefined {
  return joinAll(parts, '');
}

export function joinAll(
  parts: readonly (string | undefined)[],
  separator: string,
): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(separator);
}
