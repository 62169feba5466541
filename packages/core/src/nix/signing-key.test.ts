import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseNixSigningKey } from './signing-key.ts';
import { nixMissing, runNix } from './testing/nix-command.ts';

test.skipIf(nixMissing)(
  `keys that Nix made are read, and sign (${nixMissing ?? 'nix-store'})`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'uport-nix-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const secret = path.join(folder, 'secret');
    const pub = path.join(folder, 'public');
    runNix(folder, 'nix-store', ['--generate-binary-cache-key', 'test.example-1', secret, pub]);
    const key = parseNixSigningKey(`${readFileSync(secret, 'utf8')}\n`);
    expect(key).toMatchObject({ name: 'test.example-1', publicKey: readFileSync(pub, 'utf8') });
    const [name, signature] = key.sign('1;text').split(':') as [string, string];
    expect(name).toBe('test.example-1');
    const bytes = Buffer.from(key.publicKey.split(':')[1] as string, 'base64');
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes]);
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    expect(verify(null, Buffer.from('1;text'), publicKey, Buffer.from(signature, 'base64'))).toBe(
      true,
    );
  },
);

test.each([
  ['nothing', ''],
  ['no name', `:${Buffer.alloc(64).toString('base64')}`],
  ['a public key', `name:${Buffer.alloc(32).toString('base64')}`],
  ['a public half of another key', `name:${Buffer.alloc(64).toString('base64')}`],
  ['more than one line', `name:${Buffer.alloc(64).toString('base64')}\nmore`],
])('%s is refused, and not told', (_, text) => {
  expect(() => parseNixSigningKey(text)).toThrow(
    expect.objectContaining({
      code: 'UPORT_NIX_KEY_INVALID',
      message: expect.not.stringContaining('AAAA'),
    }),
  );
});
