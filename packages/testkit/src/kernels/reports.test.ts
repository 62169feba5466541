import { expect, test } from 'vitest';
import { parseReports } from './reports.ts';

const RUN = [
  'firmware speaks',
  '@@ k Ny4yIDQwOTY= 8d1d9e3c',
  '[    1.0] a kernel message',
  '@@ o aGk= 4a6e4b35',
  '@@ s MyAw 00000000',
  '@@ end',
];

/** The lines with right checksums. */
function summed(lines: readonly string[]): string {
  return lines
    .map((line) => {
      const parts = /^(@@ . (\S+)) \S+$/.exec(line);
      if (!parts) return line;
      let sum = 0x811c9dc5n;
      for (const byte of Buffer.from(parts[2] as string, 'base64')) {
        sum = ((sum ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn;
      }
      return `${parts[1]} ${sum.toString(16).padStart(8, '0')}`;
    })
    .join('\r\n');
}

test('reads reports among other lines', () => {
  expect(parseReports(summed(RUN))).toEqual({
    kernel: '7.2',
    pageSize: 4096,
    results: [{ stdout: Buffer.from('hi'), stderr: Buffer.of(), status: 3, signal: 0 }],
  });
});

test('a changed byte, a torn line and a missing end are errors', () => {
  const good = summed(RUN);
  expect(() => parseReports(good.replace('aGk=', 'aGo='))).toThrow('damaged');
  expect(() => parseReports(good.replace(/ [0-9a-f]{8}\r\n@@ s/, '\r\n@@ s'))).toThrow('damaged');
  expect(() => parseReports(good.replace('@@ end', ''))).toThrow('ended after 1 commands');
});

test('a failure of the first process is said in its own words', () => {
  expect(() => parseReports(summed(['@@ f L2RldjogYmFk 0', '@@ end']))).toThrow('/dev: bad');
});
