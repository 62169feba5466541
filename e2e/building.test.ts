import { BUILDING_CASES } from '@uport/testkit';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { EMITTERS, offlineFlags } from './support/emitters.ts';
import { NQUEENS } from './support/nqueens.ts';
import { removeFolder, temporaryFolder } from './support/temporary-folder.ts';
import { build } from './support/uport.ts';

describe.each(EMITTERS)('uport build --emit $name', ({ name, flags }) => {
  let folder: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => removeFolder(folder));

  const emit = ['--emit', name.split(' ')[0] as string, ...flags];

  test.for(BUILDING_CASES)('$name', async (each) => {
    await each.check(
      { program: NQUEENS, build: (request) => build(request, [...emit, ...offlineFlags()]) },
      folder,
    );
  });
});
