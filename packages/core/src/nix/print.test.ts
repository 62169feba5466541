import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isNixIdentifier } from './lexemes.ts';
import { printNix } from './print.ts';
import { type NixData, type NixExpr, type NixOperation, nix } from './syntax.ts';
import { nixMissing, runNix } from './testing/nix-command.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), 'nix-source-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

function nixInstantiate(flags: readonly string[], ...files: readonly string[]): Buffer {
  const paths = files.map((text, i) => {
    const file = path.join(folder, `${i}.nix`);
    fs.writeFileSync(file, text);
    return file;
  });
  return runNix(folder, 'nix-instantiate', [...flags, ...paths]);
}

function evaluate(body: NixExpr): unknown {
  return JSON.parse(
    nixInstantiate(['--eval', '--strict', '--json'], printNix({ body })).toString(),
  );
}

/** Text that would be an expression in a string. */
const SOURCE = `<\${x}>`;

/** Any text that Nix can hold, with what Nix gives a meaning to far more often than chance would. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...`$$\${{}}""''\\\\\n\r\t #;/`),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((char) => char !== '\0'),
  ),
  maxLength: 12,
});
/** Nix prints sets with these as something else than a set. */
const attribute = text.filter((name) => name !== '__toString' && name !== 'outPath');

test.skipIf(nixMissing)(
  '3,000 random strings and attribute names come out of Nix as they went in (apt-get install nix-bin)',
  () => {
    const texts = fc.sample(text, { numRuns: 3000, seed: 4 });
    const words = fc.sample(
      fc.oneof(attribute, fc.constantFrom('if', 'or', 'rec', 'a-b', "c'", '1', '_', '', 'a.b')),
      { numRuns: 3000, seed: 5 },
    );
    const data = [texts, words.map((name) => ({ [name]: name }))];
    expect(evaluate(nix.value(data))).toEqual(data);
  },
);

test.skipIf(nixMissing)(
  'expressions between texts do not change the texts (apt-get install nix-bin)',
  () => {
    const parts = fc.sample(fc.array(text, { minLength: 2, maxLength: 4 }), {
      numRuns: 500,
      seed: 6,
    });
    const strings = parts.map((texts) =>
      nix.string(...texts.flatMap((each, i) => (i === 0 ? [each] : [nix.name('x'), each]))),
    );
    expect(evaluate(nix.let([nix.bind('x', nix.string(SOURCE))], nix.list(...strings)))).toEqual(
      parts.map((texts) => texts.join(SOURCE)),
    );
    // Texts side by side are one text.
    const halves = nix.list(nix.string('$', '{x}'), nix.string('a$', '', '{'));
    expect(evaluate(halves)).toEqual([`\${x}`, `a\${`]);
  },
);

test.skipIf(nixMissing)(
  'scripts keep their text, indentation and expressions (apt-get install nix-bin)',
  () => {
    const line = fc.string({ unit: fc.constantFrom(..."ab$${'''\"\\ }é") });
    const scripts = fc.sample(fc.array(line, { minLength: 1, maxLength: 5 }), {
      numRuns: 500,
      seed: 7,
    });
    const nodes = scripts.map((lines) => {
      const source = `\n    first${lines.map((each) => `\n    ${each}`).join('')}`;
      return nix.script([source, "'end\n  "] as unknown as TemplateStringsArray, nix.name('x'));
    });
    const values = scripts.map(
      (lines) =>
        `first${lines.map((each, i) => `\n${each.trim() === '' && i < lines.length - 1 ? '' : each}`).join('')}`,
    );
    const found = evaluate(nix.let([nix.bind('x', nix.string('<x>'))], nix.list(...nodes)));
    expect(found).toEqual(values.map((value) => `${value}<x>'end\n`));
  },
);

test.skipIf(nixMissing)(
  'values of every kind come out as they went in (apt-get install nix-bin)',
  () => {
    const { data } = fc.letrec<{ data: NixData }>((tie) => ({
      data: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('data'), { maxLength: 4 }),
        fc.dictionary(attribute, tie('data'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    const all = fc.sample(data, { numRuns: 500, seed: 8 });
    expect(evaluate(nix.value(all))).toEqual(JSON.parse(JSON.stringify(all)));
  },
);

const OPERATORS: readonly NixOperation['operator'][] = [
  '++',
  '//',
  '+',
  '&&',
  '||',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '->',
];
const CHAINS = OPERATORS.slice(0, 5);

const { expression } = fc.letrec<{ expression: NixExpr }>((tie) => {
  const some = tie('expression');
  const name = fc.constantFrom('a', 'b', 'c');
  const bindings = fc.uniqueArray(fc.tuple(name, some), { selector: ([key]) => key, maxLength: 3 });
  const several = fc.array(some, { minLength: 2, maxLength: 4 });
  return {
    expression: fc.oneof(
      { maxDepth: 4, depthSize: 'medium' },
      name.map((each) => nix.name(each)),
      fc.integer({ min: -9, max: 9 }).map((value) => nix.integer(value)),
      fc.constant(nix.string('text')),
      several.chain((operands) =>
        fc.constantFrom(...CHAINS).map((operator) => nix.operation(operator, ...operands)),
      ),
      fc
        .tuple(fc.constantFrom(...OPERATORS), some, some)
        .map(([operator, left, right]) => nix.operation(operator, left, right)),
      some.map(nix.not),
      fc.tuple(some, name).map(([set, key]) => nix.has(set, [key, 'or'])),
      fc
        .tuple(some, name, fc.option(some))
        .map(([set, key, other]) => nix.select(set, [key, 'a b'], other ?? undefined)),
      several.map(([callee, ...args]) => nix.call(callee as NixExpr, ...args)),
      several.map((items) => nix.list(...items)),
      fc.tuple(name, name, some).map(([x, y, body]) => nix.lambda(x, `${y}2`, body)),
      fc
        .tuple(some, some, fc.boolean())
        .map(([other, body, open]) =>
          nix.pattern(['a', ['b', other]], body, { open, whole: 'all' }),
        ),
      bindings.map((all) => nix.set(...all.map(([key, value]) => nix.bind(key, value)))),
      fc.tuple(bindings, some).map(([all, body]) =>
        nix.let(
          all.map(([key, value]) => nix.bind(key, value)),
          body,
        ),
      ),
      fc.tuple(some, some).map(([scope, body]) => nix.with(scope, body)),
      fc.tuple(some, some, some).map(([test, then, other]) => nix.if(test, then, other)),
      fc.tuple(some, some).map(([check, body]) => nix.assert(check, body)),
    ),
  };
});

/** The same expression with parentheses around each part and no thought for looks. */
function plain(node: NixExpr): string {
  const path = (names: readonly unknown[]) => names.map((each) => JSON.stringify(each)).join('.');
  const bindings = (set: NixExpr & { readonly type: 'set' | 'let' }) =>
    set.bindings
      .map((each) => (each.type === 'bind' ? `${path(each.path)}=${plain(each.value)};` : ''))
      .join('');
  switch (node.type) {
    case 'variable':
      return node.name;
    case 'integer':
      return `(${node.value})`;
    case 'string':
      return JSON.stringify(node.parts.join(''));
    case 'operation':
      return ['++', '//'].includes(node.operator)
        ? node.operands
            .map(plain)
            .reduceRight((right, left) => `(${left} ${node.operator} ${right})`)
        : node.operands.map(plain).reduce((left, right) => `(${left} ${node.operator} ${right})`);
    case 'not':
      return `(!${plain(node.operand)})`;
    case 'has':
      return `(${plain(node.set)} ? ${path(node.path)})`;
    case 'select': {
      // Only a fallback tells selecting twice from selecting once.
      const isRow = node.set.type === 'select' && !node.set.fallback && !node.fallback;
      const set = isRow ? plain(node.set).slice(1, -1) : plain(node.set);
      return `(${set}.${path(node.path)}${node.fallback ? ` or ${plain(node.fallback)}` : ''})`;
    }
    case 'call':
      return `(${[node.function, ...node.args].map(plain).join(' ')})`;
    case 'list':
      return `[${node.items.map(plain).join(' ')}]`;
    case 'function': {
      if (node.parameter.type === 'name') return `(${node.parameter.name}: ${plain(node.body)})`;
      const { attributes, open, whole } = node.parameter;
      const inner = attributes.map(({ name, fallback }) =>
        fallback ? `${name} ? ${plain(fallback)}` : name,
      );
      return `(${whole}@{${[...inner, ...(open ? ['...'] : [])].join(',')}}: ${plain(node.body)})`;
    }
    case 'set':
      return `{${bindings(node)}}`;
    case 'let':
      return `(let ${bindings(node)} in ${plain(node.body)})`;
    case 'with':
      return `(with ${plain(node.scope)}; ${plain(node.body)})`;
    case 'if':
      return `(if ${plain(node.test)} then ${plain(node.then)} else ${plain(node.else)})`;
    case 'assert':
      return `(assert ${plain(node.test)}; ${plain(node.body)})`;
    default:
      throw new Error(node.type);
  }
}

test.skipIf(nixMissing)(
  'Nix reads 400 random expressions as they were meant (apt-get install nix-bin)',
  () => {
    const all = fc.sample(expression, { numRuns: 400, seed: 9 });
    // Names that nothing binds are only looked up when they are used.
    const printed = all.map((each) => printNix({ body: nix.with(nix.name('builtins'), each) }));
    const meant = all.map((each) => `with builtins; ${plain(each)}`);
    const parse = (texts: readonly string[]) =>
      nixInstantiate(['--parse'], ...texts)
        .toString()
        .trimEnd()
        .split('\n');
    expect(parse(printed)).toEqual(parse(meant));
    expect(printed.filter((each) => each.includes('\n  ')).length).toBeGreaterThan(100);
  },
);

// ---- layout: each text below is one that nixfmt leaves as it is ----

const show = (body: NixExpr) => printNix({ body });
const [a, b, c] = [nix.name('a'), nix.name('b'), nix.name('c')];
const long = nix.name('a'.repeat(60));

test('sets as values, lists of two, lets and patterns are always opened', () => {
  const body = nix.pattern(
    ['self'],
    nix.let(
      [nix.bind('systems', nix.list(nix.string('x'), nix.string('y')))],
      nix.set(
        nix.bind('one', nix.list(nix.string('x'))),
        nix.bind(['a', 'b c'], nix.set(nix.bind('d', nix.set()))),
        nix.bind('item', nix.list(nix.set(nix.bind('e', nix.integer(1))))),
      ),
    ),
  );
  expect(show(body)).toBe(`\
{ self }:
let
  systems = [
    "x"
    "y"
  ];
in
{
  one = [ "x" ];
  a."b c" = {
    d = { };
  };
  item = [ { e = 1; } ];
}
`);
});

test('patterns are opened beyond two names or with a fallback, and end in a comma', () => {
  expect(show(nix.pattern(['a', 'b'], a, { open: true }))).toBe('{ a, b, ... }:\na\n');
  expect(show(nix.pattern(['a', ['b', nix.set()]], a, { whole: 'args' }))).toBe(
    'args@{\n  a,\n  b ? { },\n}:\na\n',
  );
  expect(show(nix.pattern(['a', 'b', 'c'], nix.set(), { open: true }))).toBe(
    '{\n  a,\n  b,\n  c,\n  ...\n}:\n{ }\n',
  );
  expect(show(nix.pattern([], a))).toBe('{ }:\na\n');
});

test('one argument of a call may be opened, the others stay on its lines', () => {
  const set = nix.set(nix.bind('x', a), nix.bind('y', b));
  const body = nix.set(
    nix.bind('p', nix.call(a, b, set)),
    nix.bind('q', nix.call(a, nix.lambda('s', set), c)),
    nix.bind('r', nix.call(a, nix.call(b, nix.lambda('s', set), c))),
    nix.bind('s', nix.call(a, long, set, long)),
    nix.bind('t', nix.call(a, long, nix.list(long))),
    nix.bind('u', nix.call(a, nix.lambda('s', nix.set(nix.bind('x', b))))),
    nix.bind('v', nix.call(a, nix.set(nix.bind('x', nix.list(b, c))), nix.set())),
  );
  expect(show(body)).toBe(`\
{
  p = a b {
    x = a;
    y = b;
  };
  q = a (s: {
    x = a;
    y = b;
  }) c;
  r = a (
    b (s: {
      x = a;
      y = b;
    }) c
  );
  s = a ${'a'.repeat(60)} {
    x = a;
    y = b;
  } ${'a'.repeat(60)};
  t = a ${'a'.repeat(60)} [
    ${'a'.repeat(60)}
  ];
  u = a (s: {
    x = b;
  });
  v = a {
    x = [
      b
      c
    ];
  } { };
}
`);
});

test('a call that does not fit starts on its own line, one argument a line', () => {
  const body = nix.set(nix.bind('x', nix.call(a, nix.name('b'.repeat(90)), b, c)));
  expect(show(body)).toBe(`{\n  x =\n    a ${'b'.repeat(90)} b\n      c;\n}\n`);
});

test('operators start lines; what updates a set stays beside it', () => {
  const set = nix.set(nix.bind('x', a), nix.bind('y', b));
  const body = nix.set(
    nix.bind('p', nix.operation('//', set, set)),
    nix.bind('q', nix.operation('//', a, set)),
    nix.bind('r', nix.operation('++', long, nix.call(a, b, nix.list(long, long)), c)),
    nix.bind('s', nix.operation('||', nix.operation('&&', long, long), nix.not(a))),
    nix.bind('t', nix.operation('||', nix.operation('&&', a, b), nix.not(c))),
    nix.bind('u', nix.operation('//', a, nix.set(nix.bind('x', b)))),
  );
  const name = 'a'.repeat(60);
  expect(show(body)).toBe(`\
{
  p = {
    x = a;
    y = b;
  }
  // {
    x = a;
    y = b;
  };
  q = a // {
    x = a;
    y = b;
  };
  r =
    ${name}
    ++ a b [
      ${name}
      ${name}
    ]
    ++ c;
  s =
    ${name}
    && ${name}
    || !a;
  t = a && b || !c;
  u = a // {
    x = b;
  };
}
`);
});

test('conditions, assertions and scopes', () => {
  const body = nix.assert(
    nix.operation('!=', a, nix.name('null')),
    nix.with(
      b,
      nix.set(
        nix.bind('p', nix.with(nix.name('lib', 'licenses'), nix.list(a, b))),
        nix.bind('q', nix.if(a, b, c)),
        nix.bind('r', nix.if(a, b, nix.if(b, nix.set(nix.bind('x', a)), c))),
        nix.bind('s', nix.if(nix.operation('&&', long, long), a, b)),
      ),
    ),
  );
  const name = 'a'.repeat(60);
  expect(show(body)).toBe(`\
assert a != null;
with b;
{
  p = with lib.licenses; [
    a
    b
  ];
  q = if a then b else c;
  r =
    if a then
      b
    else if b then
      { x = a; }
    else
      c;
  s =
    if
      ${name}
      && ${name}
    then
      a
    else
      b;
}
`);
});

test('inherit, comments, empty lines and scripts', () => {
  const body = nix.set(
    nix.inherit(['a', 'b', 'c d']),
    nix.inheritFrom(nix.name('lib'), ['a', 'b', 'c', 'd'], {
      comment: ['why', '', 'so'],
      gap: true,
    }),
    nix.bind('only', nix.set(nix.inherit(['a']))),
    nix.bind(
      'run',
      nix.script`
        mkdir -p $out/bin
          cp ${nix.name('src')} "$out/bin/\${name}"

        echo ''
      `,
    ),
  );
  expect(printNix({ comment: ['Written by a program.'], body })).toBe(`\
# Written by a program.

{
  inherit a b "c d";

  # why
  #
  # so
  inherit (lib)
    a
    b
    c
    d
    ;
  only = { inherit a; };
  run = ''
    mkdir -p $out/bin
      cp \${src} "$out/bin/''\${name}"

    echo '''
  '';
}
`);
});

test('texts are never broken, and go to the next line after a quoted name only', () => {
  const words = 'word '.repeat(30);
  const body = nix.set(
    nix.bind('description', nix.string(words)),
    nix.bind(['a', 'x86_64-linux', 'two words'], nix.string(words)),
  );
  expect(show(body)).toBe(
    `{\n  description = "${words}";\n  a.x86_64-linux."two words" =\n    "${words}";\n}\n`,
  );
});

test('identifiers are bare names that are no keywords', () => {
  expect(['a', '_', "a'-b", 'true', 'x86_64-linux'].every(isNixIdentifier)).toBe(true);
  expect(['', '1a', 'a b', 'or', 'rec', 'é', '-a', "'a"].some(isNixIdentifier)).toBe(false);
});

test.each([
  ['STRING', nix.string('a\0b')],
  ['STRING', nix.string('half \ud800')],
  ['STRING', nix.set(nix.bind('\0', a))],
  ['STRING', nix.script`tab\there`],
  ['IDENTIFIER', nix.name('a b')],
  ['IDENTIFIER', nix.name('or')],
  ['IDENTIFIER', nix.lambda('if', a)],
  ['IDENTIFIER', nix.pattern(['x y'], a)],
  ['PATH', nix.path('./a b')],
  ['PATH', nix.path('/etc/passwd')],
  ['PATH', nix.path('./a/')],
  ['PATH', nix.path('~/a')],
  ['PATH', nix.lookup('nix>')],
  ['INTEGER', nix.integer(1.5)],
  ['INTEGER', nix.integer(2n ** 63n)],
  ['INTEGER', nix.integer(Number.NaN)],
  ['COMMENT', nix.set(nix.bind('a', a, { comment: ['x\n}'] }))],
  ['INTERPOLATION', nix.string(nix.set())],
  ['SYNTAX', nix.operation('==', a, a, a)],
  ['SYNTAX', nix.operation('//', a)],
  ['SYNTAX', nix.set(nix.bind('x', nix.operation('++')))],
  ['SYNTAX', nix.call(a)],
])('refuses what Nix cannot write: %s', (kind, body) => {
  expect(() => show(body)).toThrow(
    expect.objectContaining({ code: `UPORT_NIX_${kind}_INVALID`, hint: expect.any(String) }),
  );
});
