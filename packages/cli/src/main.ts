import { Errors, run } from '@oclif/core';
import { EXIT_STATUS } from '@uport/core/model';

/** Runs the command line. Commands report their own errors; what is left is a command that does not exist. */
export async function main(url: string, argv = process.argv.slice(2)): Promise<void> {
  try {
    await run(argv, url);
  } catch (error) {
    if (error instanceof Errors.ExitError) {
      process.exitCode = error.oclif.exit ?? 0;
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `uport: UPORT_USAGE: ${message}\n  next:  uport --help lists the commands\n`,
    );
    process.exitCode = EXIT_STATUS.usage;
  }
}
