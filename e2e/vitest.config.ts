import { mergeConfig } from 'vitest/config';
import shared from '../vitest.config.ts';
import { LongestFirst } from './support/longest-first.ts';

export default mergeConfig(shared, {
  test: {
    globalSetup: ['support/build-images.ts'],
    testTimeout: 240_000,
    hookTimeout: 400_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
