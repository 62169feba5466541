// Prints Nix source as nixfmt does (RFC 166): what fits stays on one line, everything else is opened
// up by rules of its own kind. A line's width is counted without its indentation.
import { commentLines, identifier, isNixIdentifier } from './lexemes.ts';
import { append, indented, LIMIT, type Lines, lineWidth, surround, width } from './lines.ts';
import {
  atom,
  base,
  COMPARISONS,
  HAS,
  type Inherit,
  isAbsorbable,
  isAbsorbed,
  isFullSet,
  isSimple,
  type Keyword,
  type Lambda,
  lists,
  NOT,
  type Node,
  operand,
  operandsOf,
  type Pattern,
  parameters,
  type Spine,
  spine,
  UPDATES,
  updatesSet,
  wrap,
  wrappedBody,
} from './nodes.ts';
import {
  attributeName,
  attributePath,
  flat,
  flatArgument,
  flatInherit,
  flatLast,
  flatPattern,
  join,
  joinAll,
  scriptLine,
} from './one-line.ts';
import type { NixBinding, NixExpr, NixFile, NixOperation, NixSelect } from './syntax.ts';

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

/** The last argument of a call. */
function openLast(node: Node, column: number, tail: number): Lines {
  if (node.type !== 'parens') return open(node, column, tail);
  const { inner } = node;
  if (wrappedBody(inner) !== undefined) {
    return surround('(', open(inner, column + 1, tail + 1), ')');
  }
  return ['(', ...indented(layout(inner, 0, 0)), ')'];
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

function patternLayout(pattern: Pattern): Lines {
  const line = flatPattern(pattern);
  if (line !== undefined && width(line) + 1 <= LIMIT) return [line];
  const { attributes, open: isOpen, whole } = pattern;
  const lines = attributes.flatMap(({ name: attribute, fallback }) => {
    const name = identifier(attribute);
    if (fallback === undefined) return [`${name},`];
    return append(`${name} ?`, valueLayout(fallback, width(name) + 2, 1), ',');
  });
  const prefix = whole === undefined ? '' : `${identifier(whole)}@`;
  return [`${prefix}{`, ...indented([...lines, ...(isOpen ? ['...'] : [])]), '}'];
}

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

function openAbsorbed(node: NixExpr, column: number, tail: number): Lines {
  if (node.type !== 'with') return open(node, column, tail);
  const scope = layout(node.scope, column + 'with '.length, 2);
  const head = surround('with ', scope, '; ');
  return append(head, open(node.body, lineWidth(head[head.length - 1] as string), tail));
}
