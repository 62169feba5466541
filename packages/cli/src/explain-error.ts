import { systemError, UportError } from '@uport/core/model';

/** What oclif puts on its errors, and others on theirs. */
type Thrown = Error & { exitCode?: number; code?: string; oclif?: { exit?: number } };

/**
 * Whatever a command threw, as an error with a code and a hint.
 *
 * @param command as it is typed, such as `cache gc`
 */
export function explainError(thrown: Error, signal: AbortSignal, command: string): UportError {
  if (signal.aborted && signal.reason instanceof UportError) return signal.reason;
  const error = systemError(thrown) as Thrown;
  if (error instanceof UportError) {
    // oclif's parser puts words around the message of whatever a flag throws.
    error.message = error.message
      .replace(/^Parsing --\S+ \n\t/, '')
      .replace(/\nSee more help with --help$/, '');
    return error;
  }
  // oclif's parser errors: a wrong flag or a missing argument.
  if (
    error.oclif?.exit === 2 ||
    /CLIParse|RequiredArgs|NonExistentFlag|FailedFlag/.test(error.constructor.name)
  ) {
    return new UportError({
      code: 'UPORT_USAGE',
      category: 'usage',
      message: error.message.replace(/\nSee more help with --help$/, ''),
      hint: `uport ${command} --help`,
      cause: error,
    });
  }
  return new UportError({
    code: 'UPORT_INTERNAL',
    category: 'internal',
    message: `unexpected: ${error.message}`,
    hint: 'set UPORT_TRACE=1, run it again and report what it prints',
    cause: error,
  });
}

/** What a person reads of an error: some lines, with where it comes from if UPORT_TRACE is set. */
export function errorText(error: UportError, thrown: unknown): string {
  const where = error.where === '' ? '' : `\n  where: ${error.where}`;
  const text = `uport: ${error.code}: ${error.message}${where}\n  next:  ${error.hint}\n`;
  return process.env.UPORT_TRACE ? `${text}${trace(thrown)}\n` : text;
}

function trace(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined
    ? `${error.stack}`
    : `${error.stack}\ncaused by ${trace(error.cause)}`;
}
