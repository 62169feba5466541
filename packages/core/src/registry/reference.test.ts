import { describe, expect, test } from 'vitest';
import { parseReference } from './reference.ts';

describe('parseReference', () => {
  test.each([
    ['localhost/app:1', 'localhost', 'app', '1', 'localhost'],
    ['127.0.0.1:5000/team/app:v1.2-x', '127.0.0.1:5000', 'team/app', 'v1.2-x', '127.0.0.1:5000'],
    ['[::1]:5000/app:1', '[::1]:5000', 'app', '1', '[::1]:5000'],
    [
      'Registry.Example.com/a/b__c',
      'registry.example.com',
      'a/b__c',
      'latest',
      'registry.example.com',
    ],
    ['docker://host.example/app:1', 'host.example', 'app', '1', 'host.example'],
    ['docker.io/hello:1', 'docker.io', 'library/hello', '1', 'registry-1.docker.io'],
    ['index.docker.io/me/hello:1', 'docker.io', 'me/hello', '1', 'registry-1.docker.io'],
  ])('%s', (text, registry, repository, tag, apiHost) => {
    expect(parseReference(text)).toEqual({ registry, repository, tag, apiHost });
  });

  test.each([
    '',
    'app:1',
    'team/app:1',
    'host.example/App:1',
    'host.example/app:',
    'host.example/app:-x',
    'host.example/a//b:1',
    'host.example/../etc:1',
    'host.example:0/app:1',
    'host.example:99999/app:1',
    'host.example/app@sha256:0000',
    'https://host.example/app:1',
    'host.example /app:1',
    `host.example/${'a'.repeat(300)}:1`,
    'host.example/app:1\n',
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: 'UPORT_REGISTRY_REFERENCE', category: 'usage' }),
    );
  });

  test('repeats no password', () => {
    for (const text of ['user:hunter2@host.example/app:1', 'https://u:hunter2@host.example/app']) {
      expect(() => parseReference(text)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
      );
    }
  });
});
