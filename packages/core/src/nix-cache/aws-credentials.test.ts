import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { awsCredentials } from './aws-credentials.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'uport-aws-'));
  await mkdir(path.join(home, '.aws'));
  await writeFile(
    path.join(home, '.aws/credentials'),
    '# mine\n[default]\naws_access_key_id = A\naws_secret_access_key = a/+=\n\n[ci]\naws_access_key_id=B\naws_secret_access_key=b ; note\naws_session_token=t\n',
  );
  await writeFile(
    path.join(home, '.aws/config'),
    '[profile work]\nregion = x\naws_access_key_id = C\naws_secret_access_key = c\n',
  );
});
afterAll(() => rm(home, { recursive: true }));

test('the environment comes first, then the profile that is asked for', async () => {
  const keys = { AWS_ACCESS_KEY_ID: 'E', AWS_SECRET_ACCESS_KEY: 'e', AWS_SESSION_TOKEN: 's' };
  const HOME = home;
  expect(await awsCredentials(undefined, { HOME, ...keys })).toEqual({
    accessKeyId: 'E',
    secretAccessKey: 'e',
    sessionToken: 's',
  });
  const found = async (profile: string | undefined, env = {}) =>
    (await awsCredentials(profile, { HOME, ...env }))?.secretAccessKey;
  expect(await found(undefined)).toBe('a/+=');
  expect(await found(undefined, { AWS_PROFILE: 'ci' })).toBe('b');
  expect(await found('ci', keys)).toBe('b');
  expect(await found('work')).toBe('c');
});

test('none is none, but a named profile must be there', async () => {
  expect(await awsCredentials(undefined, { HOME: path.join(home, 'nobody') })).toBeUndefined();
  await expect(awsCredentials('none', { HOME: home })).rejects.toMatchObject({
    code: 'UPORT_AWS_PROFILE',
  });
});
