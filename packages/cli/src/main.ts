import { execute } from '@oclif/core';

/** Runs the command line; commands set the exit status. */
export async function main(url: string): Promise<void> {
  await execute({ dir: url });
}
