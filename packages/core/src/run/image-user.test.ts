import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { imageUser } from './image-user.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'uport-user-'));
  mkdirSync(path.join(root, 'etc'));
});
afterEach(() => rmSync(root, { recursive: true }));

test('the group of a user without one is that of /etc/passwd, else 0', () => {
  const file = path.join(root, 'etc/passwd');
  expect(imageUser('1000', root)).toEqual({ uid: 1000, gid: 0 });
  writeFileSync(file, 'root:x:0:0::/:/bin/sh\nbroken\nme:x:1000:50::/home/me:/bin/sh\n');
  expect(imageUser('1000', root)).toEqual({ uid: 1000, gid: 50 });
  expect(imageUser('1000:7', root)).toEqual({ uid: 1000, gid: 7 });
  expect(imageUser('1001', root)).toEqual({ uid: 1001, gid: 0 });
  expect(imageUser('1000:users', root)).toEqual({ uid: 1000, gid: 50 });
  for (const name of ['', 'me', ':5', '-1']) {
    expect(imageUser(name, root)).toBeUndefined();
  }
});

test('a link does not lead out of the root, and what is no file is not read', () => {
  symlinkSync('/etc/passwd', path.join(root, 'etc/passwd'));
  expect(imageUser('1', root)).toEqual({ uid: 1, gid: 0 });
  rmSync(path.join(root, 'etc'), { recursive: true });
  writeFileSync(path.join(root, 'etc'), '');
  expect(imageUser('1', root)).toEqual({ uid: 1, gid: 0 });
});
