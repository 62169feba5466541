import { expect, test } from 'vitest';
import { takenEmulator } from './taken-emulator.ts';

const taken = (...lines: readonly string[]) => {
  const { runs, stderr } = takenEmulator(Buffer.from(lines.join('\n')), 'box64', 'qemu-x86_64');
  return [runs, stderr.toString()];
};

test('the first program decides, and only the app’s own words are left', () => {
  expect(taken('uport: debug: /a: started with box64, /b', 'own', '')).toEqual(['box64', 'own\n']);
  expect(
    taken(
      'own',
      'uport: debug: /a: box64 is passed over for qemu-x86_64: its trial ended with 1',
      'uport: debug: /b: started with box64, /b',
    ),
  ).toEqual(['qemu-x86_64 (box64: its trial ended with 1)', 'own\n']);
  expect(taken('no newline at the end')).toEqual(['qemu-x86_64', 'no newline at the end']);
  expect(taken('a', 'uport: debug: x', 'b')).toEqual(['qemu-x86_64', 'a\nb']);
});
