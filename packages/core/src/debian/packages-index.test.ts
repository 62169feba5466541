import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findStanzas, type PackageName } from './packages-index.ts';

async function* inPieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  // One piece of memory for all, as the unpacking thread has it.
  const room = Buffer.alloc(bytes.length);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort(
    (a, b) => a - b,
  );
  let from = 0;
  for (const to of places) {
    bytes.copy(room, 0, from, to);
    yield room.subarray(0, to - from);
    from = to;
  }
}

async function find(
  text: string,
  name: PackageName,
  cuts: readonly number[] = [],
  limit = 1 << 20,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const stanza of findStanzas(inPieces(Buffer.from(text, 'latin1'), cuts), name, limit))
    found.push(stanza);
  return found;
}

const stanza = fc
  .record({
    name: fc.constantFrom('qemu-user', 'qemu-user-static', 'tool'),
    before: fc.constantFrom('', 'Priority: optional\n'),
    text: fc.constantFrom('Version: 1', 'Version: 2\nDescription: caf\xe9\n two lines', ''),
  })
  .map(({ name, before, text }) => ({
    name,
    text: `${before}Package: ${name}${text === '' ? '' : `\n${text}`}`,
  }));

describe('findStanzas', () => {
  it('finds the same whatever pieces the bytes come in', async () => {
    const cuts = fc.array(fc.nat(2000), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(stanza), cuts, fc.boolean(), async (stanzas, at, ended) => {
        const text = stanzas.map((each) => each.text).join('\n\n') + (ended ? '\n' : '');
        const wanted = stanzas.filter(({ name }) => /^qemu-user(-static)?$/.test(name));
        const found = await find(text, /^qemu-user(-static)?$/, at);
        expect(found.map((each) => each.trimEnd())).toEqual(wanted.map((each) => each.text));
      }),
    );
  });

  it('takes no name from the stanza after', async () => {
    expect(await find('Version: 1\n\nPackage: tool\nVersion: 2\n', 'tool')).toEqual([
      'Package: tool\nVersion: 2\n',
    ]);
  });

  it('refuses an index that is longer than it should be, and an endless stanza', async () => {
    const code = 'UPORT_DEBIAN_INDEX_INVALID';
    await expect(find('Package: tool\n', 'tool', [], 5)).rejects.toMatchObject({ code });
    const long = `Package: tool\n${'x'.repeat(3 << 20)}`;
    await expect(find(long, 'tool', [2 << 20], 1 << 30)).rejects.toMatchObject({ code });
  });
});
