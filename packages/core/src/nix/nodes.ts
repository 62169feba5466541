// What the printer asks about an expression: where parentheses belong, and what may start on the line of
// what it belongs to.
import { UportError } from '@uport/errors';
import { identifier, isNixIdentifier } from './lexemes.ts';
import type {
  NixBinding,
  NixExpr,
  NixOperation,
  NixParameter,
  NixSelect,
  NixSet,
} from './syntax.ts';

interface Parens {
  readonly type: 'parens';
  readonly inner: NixExpr;
}

/** A word of the language that is laid out like a function. */
export interface Keyword {
  readonly type: 'keyword';
  readonly text: string;
}

/** An expression as it stands in another one. */
export type Node = NixExpr | Parens | Keyword;

export type Inherit = NixBinding & { readonly type: 'inherit' };

/** As a value, such an operation has its set opened. */
export function updatesSet(node: NixOperation): boolean {
  const operands = operandsOf(node);
  const [first, last] = operands as [Node, Node];
  const hasSet = isFullSet(first) || (operands.length === 2 && isFullSet(last));
  return hasSet && UPDATES.has(node.operator);
}

export type Call = NixExpr & { readonly type: 'call' };

/** A function and all its arguments, as they stand in the call. */
export interface Spine {
  readonly callee: Node;
  readonly args: readonly Node[];
  /** Stays on one line, however long. */
  readonly simple: boolean;
}

/** A call of a call is one call with more arguments. */
export function spine(call: Call): Spine {
  const args: NixExpr[] = [];
  let callee: NixExpr = call;
  while (callee.type === 'call') {
    args.unshift(...callee.args);
    callee = callee.function;
  }
  if (args.length === 0) throw malformed('a call without arguments');
  return { callee: atom(callee), args: args.map(atom), simple: isSimple(call) };
}

/** Whether this argument and the one before it are lists. */
export function lists(args: readonly Node[], i: number): boolean {
  return args[i]?.type === 'list' && args[i - 1]?.type === 'list';
}

/** What may be opened without opening the parentheses around it: the body of `(x: { })` and `(f { })`. */
export function wrappedBody(node: NixExpr): NixExpr | undefined {
  let body: NixExpr | undefined;
  if (node.type === 'function' && node.parameter.type === 'name') body = node.body;
  if (node.type === 'call' && node.function.type === 'variable' && node.args.length === 1) {
    body = node.args[0];
  }
  return body !== undefined && isAbsorbable(body) ? body : undefined;
}

export type Lambda = NixExpr & { readonly type: 'function' };

/** The names of a row of functions; undefined for one that takes a set apart. */
export function parameters(node: Lambda): {
  readonly names?: readonly string[];
  readonly body: NixExpr;
} {
  const names: string[] = [];
  let body: NixExpr = node;
  while (body.type === 'function' && body.parameter.type === 'name') {
    names.push(identifier(body.parameter.name));
    body = body.body;
  }
  return names.length === 0 ? { body: node.body } : { names, body };
}

export type Pattern = NixParameter & { readonly type: 'pattern' };

// How tightly things bind: the lower, the tighter.
export const HAS = 4;
export const NOT = 8;
const STATEMENT = 20;

const OPERATORS: Readonly<Record<NixOperation['operator'], number>> = {
  '++': 5,
  '+': 7,
  '//': 9,
  '<': 10,
  '<=': 10,
  '>': 10,
  '>=': 10,
  '==': 11,
  '!=': 11,
  '&&': 12,
  '||': 13,
  '->': 14,
};

function precedence(node: NixExpr): number {
  switch (node.type) {
    case 'call':
      return 2;
    case 'integer':
      return node.value < 0 ? 3 : 0;
    case 'has':
      return HAS;
    case 'not':
      return NOT;
    case 'operation':
      return OPERATORS[node.operator];
    case 'select':
      return node.fallback === undefined ? 0 : 1;
    case 'function':
    case 'let':
    case 'with':
    case 'if':
    case 'assert':
      return STATEMENT;
    default:
      return 0;
  }
}

const wrapped = new WeakMap<NixExpr, Parens>();

/** In parentheses unless it binds tighter than `limit`. */
export function operand(node: NixExpr, limit: number): Node {
  return precedence(node) < limit ? node : wrap(node);
}

export function wrap(node: NixExpr): Parens {
  let parens = wrapped.get(node);
  if (parens === undefined) {
    parens = { type: 'parens', inner: node };
    wrapped.set(node, parens);
  }
  return parens;
}

/** As an argument or a list's item. */
export function atom(node: NixExpr): Node {
  return operand(node, 2);
}

/** As what is selected from. */
export function base({ set, fallback }: NixSelect): Node {
  if (set.type === 'variable') return set;
  // A fallback stands for the whole path in front of it.
  return operand(set, set.type === 'select' && fallback === undefined ? 1 : 0);
}

/** Operators whose sets and lists stand beside a value's name. */
export const UPDATES: ReadonlySet<string> = new Set(['//', '++', '+']);
export const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);
const CHAINS: ReadonlySet<string> = new Set(['++', '//', '+', '&&', '||']);

export function operandsOf({ operator, operands }: NixOperation): readonly Node[] {
  if (operands.length < 2 || (operands.length > 2 && !CHAINS.has(operator))) {
    throw malformed(`${operator} with ${operands.length} operands`);
  }
  return operands.map((each) => operand(each, OPERATORS[operator]));
}

export function isFullSet(node: Node): node is NixSet {
  return node.type === 'set' && node.bindings.length > 0;
}

export function isAbsorbable(node: Node): boolean {
  if (node.type === 'list') return node.items.length > 0;
  return node.type === 'script' || isFullSet(node);
}

export function isAbsorbed(node: NixExpr): boolean {
  if (node.type === 'with') return isAbsorbable(node.body);
  if (node.type !== 'function' || node.parameter.type !== 'name') return isAbsorbable(node);
  return node.body.type === 'function' ? isAbsorbed(node.body) : isAbsorbable(node.body);
}

/** Never broken, however long. */
export function isSimple(node: NixExpr): boolean {
  switch (node.type) {
    case 'string':
      return true;
    case 'integer':
      return node.value >= 0;
    case 'path':
    case 'variable':
      return true;
    case 'select':
      return (
        node.fallback === undefined &&
        isSimple(node.set) &&
        node.path.every((name) => typeof name === 'string' && isNixIdentifier(name))
      );
    case 'call': {
      const args: NixExpr[] = [];
      let callee: NixExpr = node;
      while (callee.type === 'call') {
        args.push(...callee.args);
        callee = callee.function;
      }
      return args.length <= 2 && [callee, ...args].every(isSimple);
    }
    default:
      return false;
  }
}

function malformed(what: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_SYNTAX_INVALID',
    category: 'internal',
    message: `${what} cannot be printed`,
    hint: 'mend the syntax tree',
  });
}
