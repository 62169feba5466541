import { describe, expect, test } from 'vitest';
import { registryFault } from './faults.ts';
import { mayPass, parseRetryAfter, withRetries } from './retry.ts';

const fault = () => registryFault('UPORT_REGISTRY_UNAVAILABLE', 'm', 'h');

describe('withRetries', () => {
  test('stops at once at a fault that does not pass', async () => {
    let tries = 0;
    const attempt = async () => {
      tries++;
      throw fault();
    };
    await expect(withRetries(attempt, new AbortController().signal)).rejects.toThrow('m');
    expect(tries).toBe(1);
  });

  test('does not wait for hours', async () => {
    let tries = 0;
    const attempt = async () => {
      tries++;
      throw mayPass(fault(), 3_600_000);
    };
    await expect(withRetries(attempt, new AbortController().signal)).rejects.toThrow('m');
    expect(tries).toBe(1);
  });

  test('is woken by an abort', async () => {
    const controller = new AbortController();
    const attempt = async () => {
      setImmediate(() => controller.abort(new Error('enough')));
      throw mayPass(fault(), 100_000);
    };
    await expect(withRetries(attempt, controller.signal)).rejects.toThrow('enough');
  });
});

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 0, 1);
  test.each([
    [null, 0],
    ['7', 7000],
    [' 120 ', 120_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['soon', 0],
    ['-5', 0],
  ])('%s', (value, expected) => {
    expect(parseRetryAfter(value, now)).toEqual(expected);
  });
});
