import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readReport } from './read-report.ts';

/** As the first process says it, over a console that adds carriage returns. */
function said(stdout: Uint8Array, stderr: Uint8Array, status: string): string {
  const stream = (name: string, bytes: Uint8Array) => [
    ...(
      Buffer.from(bytes)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).map((line) => `@@ ${name} ${line}`),
    `@@ sum ${name} ${createHash('sha256').update(bytes).digest('hex')}`,
  ];
  return [
    'firmware speaks',
    '\u001b[2J@@ kernel 7.2.13-arm64 65536',
    ...stream('stdout', stdout),
    '[ 1.0] a message of the kernel',
    ...stream('stderr', stderr),
    `@@ status ${status}`,
    '',
  ].join('\r\n');
}

test('reads what was said, whatever bytes it has', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.uint8Array(), (stdout, stderr) => {
      expect(readReport(said(stdout, stderr, '139'))).toEqual({
        kernel: '7.2.13-arm64',
        pageSize: 65536,
        stdout: Buffer.from(stdout),
        stderr: Buffer.from(stderr),
        status: 139,
        timedOut: false,
      });
    }),
  );
});

test('a command that was too slow', () => {
  const report = readReport(said(Buffer.from('x'), Buffer.of(), 'late'));
  expect(report).toMatchObject({ timedOut: true, stdout: Buffer.from('x') });
});

test('a damaged byte and an end that came too early are errors with what was said last', () => {
  const good = said(Buffer.from('hello'), Buffer.of(), '0');
  for (const bad of [
    good.replace('aGVs', 'aGVr'),
    good.slice(0, -15),
    good.replace(/sum stdout.*/, ''),
    '',
  ]) {
    expect(() => readReport(bad)).toThrow(expect.objectContaining({ code: 'UPORT_KERNEL_FAILED' }));
  }
  expect(() => readReport('kernel panic - no init')).toThrow(/kernel panic/);
});

test('any text is an error and no crash', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => readReport(`@@ kernel a\n${text}`)).toThrow(
        expect.objectContaining({ code: 'UPORT_KERNEL_FAILED' }),
      );
    }),
    { numRuns: 30 },
  );
});
