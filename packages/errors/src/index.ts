/** What kind of fault it is; decides the exit status of the command line. */
export type ErrorCategory =
  | 'usage'
  | 'input'
  | 'environment'
  | 'network'
  | 'validation'
  | 'interrupted'
  | 'internal';

export interface UportErrorFields {
  readonly code: `UPORT_${string}`;
  readonly category: ErrorCategory;
  /** What was wrong, one sentence, no trailing full stop. */
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
  /** The file it was found in. */
  readonly file?: string;
  /** Byte offset in that file. */
  readonly offset?: number | bigint;
  readonly cause?: unknown;
}

/** Every failure that a user can meet. The code is stable across releases. */
export class UportError extends Error {
  readonly code: `UPORT_${string}`;
  readonly category: ErrorCategory;
  readonly hint: string;
  readonly file: string | undefined;
  readonly offset: number | bigint | undefined;

  constructor(fields: UportErrorFields) {
    super(fields.message, fields.cause === undefined ? {} : { cause: fields.cause });
    this.name = 'UportError';
    this.code = fields.code;
    this.category = fields.category;
    this.hint = fields.hint;
    this.file = fields.file;
    this.offset = fields.offset;
  }

  /** `FILE, offset 0x40` or the empty string. */
  get where(): string {
    const place = this.offset === undefined ? '' : `offset 0x${this.offset.toString(16)}`;
    return [this.file, place].filter((part) => part).join(', ');
  }

  /** The same error with the file named, for readers that know only bytes. */
  inFile(file: string): UportError {
    return new UportError({
      code: this.code,
      category: this.category,
      message: this.message,
      hint: this.hint,
      file,
      ...(this.offset === undefined ? {} : { offset: this.offset }),
      cause: this.cause ?? this,
    });
  }

  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      category: this.category,
      message: this.message,
      hint: this.hint,
      file: this.file,
      offset: this.offset === undefined ? undefined : Number(this.offset),
    };
  }
}

/** The exit status of a command that failed with a fault of this kind. */
export const EXIT_STATUS: Readonly<Record<ErrorCategory, number>> = Object.freeze({
  internal: 1,
  usage: 2,
  input: 3,
  environment: 4,
  network: 5,
  validation: 6,
  interrupted: 130,
});
