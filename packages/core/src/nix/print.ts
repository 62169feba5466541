// Prints Nix source as nixfmt does (RFC 166): what fits stays on one line, everything else is opened
// up by rules of its own kind. A line's width is counted without its indentation.
import { UportError } from '@uport/errors';
import {
  commentLines,
  escapeScript,
  escapeString,
  identifier,
  integer,
  isNixIdentifier,
  lookupPath,
  quote,
  relativePath,
} from './lexemes.ts';
import type {
  NixBinding,
  NixExpr,
  NixFile,
  NixName,
  NixOperation,
  NixParameter,
  NixSelect,
  NixSet,
} from './syntax.ts';

const LIMIT = 100;
const INDENT = '  ';

/** Lines of which the first goes on where the printer stands; the others carry their own indentation. */
type Lines = readonly string[];

interface Parens {
  readonly type: 'parens';
  readonly inner: NixExpr;
}

interface Keyword {
  readonly type: 'keyword';
  readonly text: string;
}

/** An expression as it stands in another one. */
type Node = NixExpr | Parens | Keyword;

/** The text of a file, with its last newline. */
export function printNix(file: NixFile): string {
  const head = commentLines(file.comment ?? []);
  const gap = head.length > 0 ? [''] : [];
  return `${[...head, ...gap, ...layout(file.body, 0, 0)].join('\n')}\n`;
}

/**
 * @param column characters that stand before it on the line
 * @param tail characters that must follow it on its last line
 */
function layout(node: Node, column: number, tail: number): Lines {
  const line = flat(node);
  if (line !== undefined && column + width(line) + tail <= LIMIT) return [line];
  return open(node, column, tail);
}

/** What follows on lines of its own after a head: sets and further heads are opened there. */
function bodyLayout(node: NixExpr, tail: number): Lines {
  const isPattern = node.type === 'function' && node.parameter.type === 'pattern';
  const opens = isFullSet(node) || node.type === 'with' || isPattern;
  return opens ? open(node, 0, tail) : layout(node, 0, tail);
}

/** The form of several lines, where there is one. */
function open(node: Node, column: number, tail: number): Lines {
  switch (node.type) {
    case 'script':
      return ["''", ...indented(node.lines.map(scriptLine)), "''"];
    case 'list':
      if (node.items.length === 0) break;
      return ['[', ...indented(node.items.flatMap((item) => layout(atom(item), 0, 0))), ']'];
    case 'set':
      if (node.bindings.length === 0) break;
      return [node.recursive ? 'rec {' : '{', ...indented(bindingLines(node.bindings)), '}'];
    case 'parens':
      return openParens(node.inner, column, tail);
    case 'select':
      return openSelect(node, column, tail);
    case 'has': {
      const set = layout(operand(node.set, HAS), column, 0);
      return withOperator(set, column, [`? ${attributePath(node.path)}`], tail);
    }
    case 'call':
      return openCall(spine(node), column, tail) ?? brokenCall(spine(node), column, tail);
    case 'function':
      return openFunction(node, column, tail);
    case 'let':
      return [
        'let',
        ...indented(bindingLines(node.bindings)),
        'in',
        ...bodyLayout(node.body, tail),
      ];
    case 'with': {
      const scope = layout(node.scope, column + 'with '.length, 1);
      return [...surround('with ', scope, ';'), ...bodyLayout(node.body, tail)];
    }
    case 'assert':
      return [...surround('', assertion(node.test, column), ';'), ...bodyLayout(node.body, tail)];
    case 'if':
      return openIf(node, column, tail);
    case 'operation':
      return openOperation(node, column, tail);
    case 'not':
      return surround('!', layout(operand(node.operand, NOT), column + 1, tail), '');
  }
  return [flat(node) as string];
}

// ---- one line ----

const flats = new WeakMap<object, string | null>();

/** The form of one line, where there is one. */
function flat(node: Node): string | undefined {
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
function flatArgument(node: Node): string | undefined {
  if (node.type !== 'list' || node.items.length > 6 || !node.items.every(isSimple)) {
    return flat(node);
  }
  return node.items.length < 2
    ? flat(node)
    : join('[ ', joinAll(node.items.map(flatAtom), ' '), ' ]');
}

/** A set that a last argument in parentheses wraps is opened. */
function flatLast(node: Node): string | undefined {
  const body = node.type === 'parens' ? wrappedBody(node.inner) : undefined;
  return body !== undefined && isFullSet(body) ? undefined : flat(node);
}

function flatAtom(node: NixExpr): string | undefined {
  return flat(atom(node));
}

function flatFunction(node: Lambda): string | undefined {
  const { names, body } = parameters(node);
  if (names === undefined) {
    const pattern = patternLayout(node.parameter as Pattern);
    // A pattern without a name for the whole has its body on the next line, always.
    const { whole } = node.parameter as Pattern;
    if (whole === undefined || pattern.length > 1 || isFullSet(body)) return undefined;
    return join(pattern[0], ': ', flat(body));
  }
  if (names.length > 2 && !isAbsorbed(body)) return undefined;
  return join(names.map((name) => `${name}: `).join(''), flat(body));
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

function flatInherit({ from, names }: Inherit): string | undefined {
  if (names.length > 3) return undefined;
  const source = from === undefined ? '' : join('(', flat(from), ') ');
  return join('inherit ', source, names.map(attributeName).join(' '), ';');
}

// ---- names and strings ----

function attributePath(path: readonly NixName[]): string {
  return path.map(attributeName).join('.');
}

function attributeName(name: NixName): string {
  if (typeof name !== 'string') return stringText(name.parts);
  return isNixIdentifier(name) ? name : quote(name);
}

function stringText(parts: readonly (string | NixExpr)[]): string {
  return `"${quoted(parts, escapeString)}"`;
}

function scriptLine(parts: readonly (string | NixExpr)[]): string {
  return quoted(parts, escapeScript);
}

function quoted(parts: readonly (string | NixExpr)[], quoteText: typeof escapeScript): string {
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

// ---- bindings ----

function bindingLines(bindings: readonly NixBinding[]): Lines {
  return bindings.flatMap((binding, i) => [
    ...(binding.gap && i > 0 ? [''] : []),
    ...commentLines(binding.comment ?? []),
    ...bindingLayout(binding),
  ]);
}

function bindingLayout(binding: NixBinding): Lines {
  if (binding.type === 'inherit') return inheritLayout(binding);
  const left = `${attributePath(binding.path)} =`;
  const lines = append(left, valueLayout(binding.value, width(left), 1), ';');
  const plain =
    binding.path.length <= 4 &&
    binding.path.every((name) => typeof name === 'string' && isNixIdentifier(name));
  if (plain || lineWidth(lines[lines.length - 1] as string) <= LIMIT) return lines;
  // After a name that is long or quoted, a value that is too long goes to a line of its own.
  return [left, ...indented(surround('', bodyLayout(binding.value, 1), ';'))];
}

type Inherit = NixBinding & { readonly type: 'inherit' };

function inheritLayout(binding: Inherit): Lines {
  const line = flatInherit(binding);
  if (line !== undefined && width(line) <= LIMIT) return [line];
  const { from } = binding;
  const source = from && wrap(from);
  const first = source && flat(source);
  const fits = first !== undefined && width(first) + 'inherit '.length <= LIMIT;
  const head = source === undefined ? [] : layout(source, 0, 0);
  const names = [...binding.names.map(attributeName), ';'];
  return fits
    ? [`inherit ${first}`, ...indented(names)]
    : ['inherit', ...indented([...head, ...names])];
}

/**
 * What follows `=` or `?`: with its space, or with an empty first line where it starts on the next
 * line.
 */
function valueLayout(value: NixExpr, column: number, tail: number): Lines {
  const start = column + 1;
  const line = flat(value);
  const fits = line !== undefined && start + width(line) + tail <= LIMIT;
  switch (value.type) {
    case 'set':
      // A set as a value is opened, but for one that only inherits.
      if (value.bindings.length > 1 || value.bindings[0]?.type === 'bind') {
        return surround(' ', open(value, start, tail), '');
      }
      break;
    case 'string':
    case 'path':
    case 'lookup':
      return [` ${line}`];
    case 'call': {
      if (fits || isSimple(value)) return [` ${line}`];
      const lines = openCall(spine(value), start, tail);
      if (lines !== undefined) return surround(' ', lines, '');
      return ['', ...indented(brokenCall(spine(value), 0, tail))];
    }
    case 'operation': {
      if ((fits && !updatesSet(value)) || !UPDATES.has(value.operator)) break;
      const operands = operandsOf(value);
      const [first, last] = operands as [Node, Node];
      if (isAbsorbable(first)) return surround(' ', openOperation(value, start, tail), '');
      const left = join(flat(first), ' ', value.operator);
      if (operands.length > 2 || !isAbsorbable(last) || left === undefined) break;
      if (start + width(left) + 2 > LIMIT) break;
      return surround(` ${left} `, open(last, start + width(left) + 1, tail), '');
    }
  }
  if (fits) return [` ${line}`];
  if (isAbsorbed(value)) return surround(' ', openAbsorbed(value, start, tail), '');
  return ['', ...indented(bodyLayout(value, tail))];
}

/** As a value, such an operation has its set opened. */
function updatesSet({ operator, operands }: NixOperation): boolean {
  const [first, last] = operands as [NixExpr, NixExpr];
  return UPDATES.has(operator) && (isFullSet(first) || (operands.length === 2 && isFullSet(last)));
}

// ---- calls ----

type Call = NixExpr & { readonly type: 'call' };

interface Spine {
  readonly callee: Node;
  readonly args: readonly Node[];
  /** Stays on one line, however long. */
  readonly simple: boolean;
}

/** A call of a call is one call with more arguments. */
function spine(call: Call): Spine {
  const args: NixExpr[] = [];
  let callee: NixExpr = call;
  while (callee.type === 'call') {
    args.unshift(...callee.args);
    callee = callee.function;
  }
  if (args.length === 0) throw malformed('a call without arguments');
  return { callee: atom(callee), args: args.map(atom), simple: isSimple(call) };
}

/** One argument over several lines, everything else on the lines it starts and ends on. */
function openCall(
  { callee, args, simple }: Spine,
  column: number,
  tail: number,
): Lines | undefined {
  if (simple) return undefined;
  for (let i = args.length - 1; i >= 0; i--) {
    if (!canOpen(args, i)) continue;
    const before = joinAll([flat(callee), ...args.slice(0, i).map(flatArgument)], ' ');
    const after = joinAll(args.slice(i + 1).map(flatBeforeEnd), ' ');
    if (before === undefined || after === undefined) continue;
    const end = after === '' ? '' : ` ${after}`;
    const start = column + width(before) + 1;
    const node = args[i] as Node;
    const isLast = i === args.length - 1;
    const lines = isLast ? openLast(node, start, tail) : open(node, start, width(end) + tail);
    const all = surround(`${before} `, lines, end);
    const firstFits = column + width(all[0] as string) <= LIMIT;
    if (firstFits && lineWidth(all[all.length - 1] as string) + tail <= LIMIT) return all;
  }
  return undefined;
}

function flatBeforeEnd(node: Node, i: number, rest: readonly Node[]): string | undefined {
  return i === rest.length - 1 ? flatLast(node) : flatArgument(node);
}

/** Two lists side by side are opened together or not at all. */
function canOpen(args: readonly Node[], i: number): boolean {
  const node = args[i] as Node;
  if (node.type === 'parens') return true;
  return isAbsorbable(node) && !lists(args, i) && !lists(args, i + 1);
}

/** Whether this argument and the one before it are lists. */
function lists(args: readonly Node[], i: number): boolean {
  return args[i]?.type === 'list' && args[i - 1]?.type === 'list';
}

/** The last argument of a call. */
function openLast(node: Node, column: number, tail: number): Lines {
  if (node.type !== 'parens') return open(node, column, tail);
  const { inner } = node;
  if (wrappedBody(inner) !== undefined) {
    return surround('(', open(inner, column + 1, tail + 1), ')');
  }
  return ['(', ...indented(layout(inner, 0, 0)), ')'];
}

/** What may be opened without opening the parentheses around it: the body of `(x: { })` and `(f { })`. */
function wrappedBody(node: NixExpr): NixExpr | undefined {
  let body: NixExpr | undefined;
  if (node.type === 'function' && node.parameter.type === 'name') body = node.body;
  if (node.type === 'call' && node.function.type === 'variable' && node.args.length === 1) {
    body = node.args[0];
  }
  return body !== undefined && isAbsorbable(body) ? body : undefined;
}

/** As many arguments as fit on the first line, each other one on a line of its own. */
function brokenCall({ callee, args, simple }: Spine, column: number, tail: number): Lines {
  if (simple) return [[callee, ...args].map(flat).join(' ')];
  let head = layout(callee, column, 0);
  let taken = 0;
  while (head.length === 1) {
    const step = lists(args, taken + 1) ? 2 : 1;
    const next = joinAll(args.slice(taken, taken + step).map(flatArgument), ' ');
    const used = column + width(head[0] as string) + 1;
    if (taken + step >= args.length || next === undefined || used + width(next) > LIMIT) break;
    head = [`${head[0]} ${next}`];
    taken += step;
  }
  const rest = args.slice(taken).flatMap((arg, i, { length }) => {
    if (i < length - 1) {
      const line = flatArgument(arg);
      return line !== undefined && width(line) <= LIMIT ? [line] : open(arg, 0, 0);
    }
    const line = flatLast(arg);
    return line !== undefined && width(line) + tail <= LIMIT ? [line] : openLast(arg, 0, tail);
  });
  return [...head, ...indented(rest)];
}

/** `assert` is laid out like a function that is called. */
function assertion(test: NixExpr, column: number): Lines {
  const line = flat(test);
  if (line !== undefined && column + width(line) + 'assert ;'.length <= LIMIT) {
    return [`assert ${line}`];
  }
  const { callee, args } = test.type === 'call' ? spine(test) : { callee: test, args: [] };
  const call = { callee: ASSERT, args: [callee, ...args], simple: false };
  return openCall(call, column, 1) ?? brokenCall(call, column, 1);
}

const ASSERT: Keyword = { type: 'keyword', text: 'assert' };

// ---- parentheses, selections ----

function openParens(inner: NixExpr, column: number, tail: number): Lines {
  if (isAbsorbed(inner)) return surround('(', openAbsorbed(inner, column + 1, tail + 1), ')');
  if (inner.type === 'call') {
    const parts = spine(inner);
    const lines = openCall(parts, column + 1, tail + 1);
    if (lines !== undefined) return surround('(', lines, ')');
    if (parts.simple) return [`(${flat(inner)})`];
    return [...surround('(', brokenCall(parts, column + 1, 0), ''), ')'];
  }
  return ['(', ...indented(layout(inner, 0, 0)), ')'];
}

function openSelect(node: NixSelect, column: number, tail: number): Lines {
  const path = `.${attributePath(node.path)}`;
  const selection = surround('', layout(base(node), column, width(path)), path);
  if (node.fallback === undefined) return selection;
  const fallback = surround('or ', layout(atom(node.fallback), 'or '.length, tail), '');
  return withOperator(selection, column, fallback, tail, true);
}

// ---- functions ----

type Lambda = NixExpr & { readonly type: 'function' };

/** The names of a row of functions; undefined for one that takes a set apart. */
function parameters(node: Lambda): {
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

function openFunction(node: Lambda, column: number, tail: number): Lines {
  const { names, body } = parameters(node);
  if (names === undefined) {
    const pattern = patternLayout(node.parameter as Pattern);
    return [...surround('', pattern, ':'), ...bodyLayout(body, tail)];
  }
  const head = names.map((name) => `${name}:`).join(' ');
  if (isAbsorbed(body)) {
    return surround(`${head} `, openAbsorbed(body, column + width(head) + 1, tail), '');
  }
  return [head, ...bodyLayout(body, tail)];
}

type Pattern = NixParameter & { readonly type: 'pattern' };

function patternLayout({ attributes, open: isOpen, whole }: Pattern): Lines {
  const prefix = whole === undefined ? '' : `${identifier(whole)}@`;
  const names = attributes.map(({ name }) => identifier(name));
  const ellipsis = isOpen ? ['...'] : [];
  const line = [...names, ...ellipsis].join(', ');
  if (line === '') return [`${prefix}{ }`];
  const isShort = names.length <= 2 && attributes.every(({ fallback }) => fallback === undefined);
  // What follows is the colon.
  if (isShort && width(prefix) + width(line) + 5 <= LIMIT) return [`${prefix}{ ${line} }`];
  const lines = attributes.flatMap(({ fallback }, i) => {
    const name = names[i] as string;
    if (fallback === undefined) return [`${name},`];
    return append(`${name} ?`, valueLayout(fallback, width(name) + 2, 1), ',');
  });
  return [`${prefix}{`, ...indented([...lines, ...ellipsis]), '}'];
}

// ---- conditions, operators ----

function openIf(node: NixExpr & { readonly type: 'if' }, column: number, tail: number): Lines {
  const test = flat(node.test);
  const fits = test !== undefined && column + width(test) + 'if  then'.length <= LIMIT;
  const head = fits ? [`if ${test} then`] : ['if', ...indented(layout(node.test, 0, 0)), 'then'];
  const then = indented(layout(node.then, 0, 0));
  if (node.else.type === 'if') {
    return [...head, ...then, ...surround('else ', openIf(node.else, 'else '.length, tail), '')];
  }
  return [...head, ...then, 'else', ...indented(layout(node.else, 0, tail))];
}

function openOperation(node: NixOperation, column: number, tail: number): Lines {
  const { operator } = node;
  const [first, ...rest] = operandsOf(node) as [Node, ...Node[]];
  if (COMPARISONS.has(operator)) {
    const left = isFullSet(first) ? open(first, column, 0) : layout(first, column, 0);
    const start = width(operator) + 1;
    const right = surround(`${operator} `, layout(rest[0] as Node, start, tail), '');
    return withOperator(left, column, right, tail);
  }
  const lines = [...(isFullSet(first) ? open(first, column, 0) : layout(first, column, 0))];
  rest.forEach((next, i) => {
    const after = i === rest.length - 1 ? tail : 0;
    lines.push(...operandLayout(operator, next, after));
  });
  return lines;
}

/** An operator goes on where its left side ended, unless the line would be too long. */
function withOperator(
  left: Lines,
  column: number,
  right: Lines,
  tail: number,
  isIndented = false,
): Lines {
  const end = lineWidth(left[left.length - 1] as string) + (left.length === 1 ? column : 0);
  const needed = width(right[0] as string) + (right.length === 1 ? tail : 0);
  if (end + 1 + needed <= LIMIT) return append(left, ' ', right);
  return [...left, ...(isIndented ? indented(right) : right)];
}

function operandLayout(operator: string, node: Node, tail: number): Lines {
  const start = width(operator) + 1;
  const line = flat(node);
  const fits = line !== undefined && start + width(line) + tail <= LIMIT;
  if (fits && !isFullSet(node)) return [`${operator} ${line}`];
  if (node.type === 'operation') return [operator, ...indented(layout(node, 0, tail))];
  if (node.type === 'call') {
    const parts = spine(node);
    const lines = openCall(parts, start, tail);
    if (lines !== undefined) return surround(`${operator} `, lines, '');
    if (parts.simple) return [`${operator} ${line}`];
    return [operator, ...indented(brokenCall(parts, 0, tail))];
  }
  return surround(`${operator} `, open(node, start, tail), '');
}

// ---- precedence: the lower, the tighter ----

const HAS = 4;
const NOT = 8;
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
function operand(node: NixExpr, limit: number): Node {
  return precedence(node) < limit ? node : wrap(node);
}

function wrap(node: NixExpr): Parens {
  let parens = wrapped.get(node);
  if (parens === undefined) {
    parens = { type: 'parens', inner: node };
    wrapped.set(node, parens);
  }
  return parens;
}

/** As an argument or a list's item. */
function atom(node: NixExpr): Node {
  return operand(node, 2);
}

/** As what is selected from. */
function base({ set, fallback }: NixSelect): Node {
  if (set.type === 'variable') return set;
  // A fallback stands for the whole path in front of it.
  return operand(set, set.type === 'select' && fallback === undefined ? 1 : 0);
}

/** Operators whose sets and lists stand beside a value's name. */
const UPDATES: ReadonlySet<string> = new Set(['//', '++', '+']);
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);
const CHAINS: ReadonlySet<string> = new Set(['++', '//', '+', '&&', '||']);

function operandsOf({ operator, operands }: NixOperation): readonly Node[] {
  if (operands.length < 2 || (operands.length > 2 && !CHAINS.has(operator))) {
    throw malformed(`${operator} with ${operands.length} operands`);
  }
  return operands.map((each) => operand(each, OPERATORS[operator]));
}

// ---- what may start on the line of what it belongs to ----

function isFullSet(node: Node): node is NixSet {
  return node.type === 'set' && node.bindings.length > 0;
}

function isAbsorbable(node: Node): boolean {
  if (node.type === 'list') return node.items.length > 0;
  return node.type === 'script' || isFullSet(node);
}

function isAbsorbed(node: NixExpr): boolean {
  if (node.type === 'with') return isAbsorbable(node.body);
  if (node.type !== 'function' || node.parameter.type !== 'name') return isAbsorbable(node);
  return node.body.type === 'function' ? isAbsorbed(node.body) : isAbsorbable(node.body);
}

function openAbsorbed(node: NixExpr, column: number, tail: number): Lines {
  if (node.type !== 'with') return open(node, column, tail);
  const scope = layout(node.scope, column + 'with '.length, 2);
  const head = surround('with ', scope, '; ');
  return append(head, open(node.body, lineWidth(head[head.length - 1] as string), tail));
}

/** Never broken, however long. */
function isSimple(node: NixExpr): boolean {
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

// ---- lines ----

function width(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function lineWidth(line: string): number {
  return width(line.trimStart());
}

function indented(lines: Lines): Lines {
  return lines.map((line) => (line === '' ? '' : INDENT + line));
}

/** The text before the first line and after the last one. */
function surround(before: string, lines: Lines, after: string): Lines {
  return append(append(before, lines), after);
}

/** Joins at the lines that meet. */
function append(...parts: readonly (string | Lines)[]): Lines {
  const all: string[] = [''];
  for (const part of parts) {
    const [first = '', ...rest] = typeof part === 'string' ? [part] : part;
    all[all.length - 1] += first;
    all.push(...rest);
  }
  return all;
}

function join(...parts: readonly (string | undefined)[]): string | undefined {
  return joinAll(parts, '');
}

function joinAll(parts: readonly (string | undefined)[], separator: string): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(separator);
}

function malformed(what: string): UportError {
  return new UportError({
    code: 'UPORT_NIX_SYNTAX_INVALID',
    category: 'internal',
    message: `${what} cannot be printed`,
    hint: 'mend the syntax tree',
  });
}
