import path from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: [path.join(import.meta.dirname, 'vitest.temporary-folder.ts')],
    include: ['src/**/*.test.ts', '*.test.ts'],
    disableConsoleIntercept: true,
    testTimeout: 90_000,
    hookTimeout: 120_000,
    passWithNoTests: true,
    reporters: ['default', 'json'],
    outputFile: { json: '.test-results/results.json' },
  },
});
