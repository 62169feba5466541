import { Command } from '@oclif/core';
import { EXIT_STATUS, type Progress, systemError, UportError } from '@uport/core/model';
import { createProgress } from './progress-bar.ts';

/** What every command shares: errors as people and programs read them, interruption, progress. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  readonly #interruption = new AbortController();
  #progress: Progress | undefined;

  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  protected get signal(): AbortSignal {
    return this.#interruption.signal;
  }

  /** Draws on a terminal, and only there. */
  protected get progress(): Progress {
    this.#progress ??= createProgress(process.stderr);
    return this.#progress;
  }

  protected readonly tell = (message: string): void => {
    process.stderr.write(`uport: ${message}\n`);
  };

  override async init(): Promise<void> {
    await super.init();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(name, () => {
        this.#interruption.abort(
          new UportError({
            code: 'UPORT_INTERRUPTED',
            category: 'interrupted',
            message: `stopped by ${name}`,
            hint: 'run it again: finished downloads are kept',
          }),
        );
      });
    }
  }

  protected override async catch(thrown: Error & { exitCode?: number }): Promise<void> {
    const error = this.#explain(thrown);
    process.exitCode = EXIT_STATUS[error.category];
    if (this.jsonEnabled()) {
      this.logJson({ error: error.toJSON() });
      return;
    }
    const where = error.where === '' ? '' : `\n  where: ${error.where}`;
    process.stderr.write(
      `uport: ${error.code}: ${error.message}${where}\n  next:  ${error.hint}\n`,
    );
    if (process.env.UPORT_TRACE) process.stderr.write(`${trace(thrown)}\n`);
  }

  #explain(
    thrown: Error & { exitCode?: number; code?: string; oclif?: { exit?: number } },
  ): UportError {
    if (this.signal.aborted && this.signal.reason instanceof UportError) return this.signal.reason;
    const error = systemError(thrown);
    if (error instanceof UportError) {
      // oclif's parser puts words around the message of whatever a flag throws.
      error.message = error.message
        .replace(/^Parsing --\S+ \n\t/, '')
        .replace(/\nSee more help with --help$/, '');
      return error;
    }
    // oclif's parser errors: a wrong flag or a missing argument.
    if (
      thrown.oclif?.exit === 2 ||
      /CLIParse|RequiredArgs|NonExistentFlag|FailedFlag/.test(thrown.constructor.name)
    ) {
      return new UportError({
        code: 'UPORT_USAGE',
        category: 'usage',
        message: thrown.message.replace(/\nSee more help with --help$/, ''),
        hint: `uport ${this.id?.replaceAll(':', ' ') ?? ''} --help`,
        cause: thrown,
      });
    }
    return new UportError({
      code: 'UPORT_INTERNAL',
      category: 'internal',
      message: `unexpected: ${thrown.message}`,
      hint: 'set UPORT_TRACE=1, run it again and report what it prints',
      cause: thrown,
    });
  }
}

function trace(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined
    ? `${error.stack}`
    : `${error.stack}\ncaused by ${trace(error.cause)}`;
}
