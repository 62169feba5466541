import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from './challenge.ts';

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe('parseChallenges', () => {
  test.each([
    ['Basic realm="r"', [['basic', { realm: 'r' }]]],
    [
      'Bearer realm="https://auth.example/token",service="s",scope="repository:a/b:pull,push"',
      [
        [
          'bearer',
          {
            realm: 'https://auth.example/token',
            service: 's',
            scope: 'repository:a/b:pull,push',
          },
        ],
      ],
    ],
    [
      'Negotiate, Basic realm="a \\"b\\" \\\\", Bearer realm=https://x.example/t , service = s',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a "b" \\' }],
        ['bearer', { realm: 'https://x.example/t', service: 's' }],
      ],
    ],
    [
      'Negotiate YWJj==, BASIC REALM="r"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'r' }],
      ],
    ],
    ['Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
    ['', []],
    ['"', []],
    ['Bearer realm="open', [['bearer', {}]]],
  ])('%s', (header, expected) => {
    expect(read(header).slice(0, expected.length)).toEqual(expected);
  });

  test('reads back what it is given', () => {
    const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/);
    const challenge = fc.record({
      scheme: token,
      parameters: fc.dictionary(
        token.map((name) => name.toLowerCase()),
        fc.string({ maxLength: 20 }),
        { minKeys: 1, maxKeys: 4, noNullPrototype: true },
      ),
    });
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
        const header = challenges
          .map(({ scheme, parameters }) => {
            const list = Object.entries(parameters).map(
              ([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`,
            );
            return `${scheme} ${list.join(', ')}`;
          })
          .join(', ');
        expect(read(header)).toEqual(
          challenges.map(({ scheme, parameters }) => [scheme.toLowerCase(), { ...parameters }]),
        );
      }),
    );
  });

  test('ends on any input', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...' \t,="\\aB/:~'), maxLength: 300 }),
        (text) => {
          parseChallenges(text);
        },
      ),
    );
    expect(parseChallenges(`Bearer realm="${'\\"'.repeat(50_000)}`)).toHaveLength(1);
    expect(parseChallenges(', '.repeat(50_000))).toEqual([]);
  });
});
