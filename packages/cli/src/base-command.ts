import { Command } from '@oclif/core';
import { EXIT_STATUS, type Progress, UportError } from '@uport/core/model';
import { errorText, explainError } from './explain-error.ts';
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
    const command = this.id?.replaceAll(':', ' ') ?? '';
    const error = explainError(thrown, this.signal, command);
    process.exitCode = EXIT_STATUS[error.category];
    if (this.jsonEnabled()) this.logJson({ error: error.toJSON() });
    else process.stderr.write(errorText(error, thrown));
  }
}
