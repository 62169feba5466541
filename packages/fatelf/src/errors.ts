import { type ErrorCategory, UportError } from '@uport/errors';

/** The end of a code of this package: `UPORT_FATELF_<reason>`. */
export type FatElfReason =
  | 'NOT_FATELF'
  | 'VERSION'
  | 'TRUNCATED'
  | 'RESERVED'
  | 'RECORD'
  | 'UNALIGNED'
  | 'OUT_OF_BOUNDS'
  | 'OVERLAP'
  | 'DUPLICATE'
  | 'MISMATCH'
  | 'CUT'
  | 'PADDING'
  | 'COUNT'
  | 'TARGET_UNKNOWN'
  | 'TARGET_MISSING'
  | 'TARGET_AMBIGUOUS'
  | 'CHANGED'
  | 'NOT_FILE';

export function fatElfError(
  reason: FatElfReason,
  message: string,
  hint: string,
  more: {
    readonly offset?: number | bigint;
    readonly file?: string;
    readonly cause?: unknown;
    readonly category?: ErrorCategory;
  } = {},
): UportError {
  return new UportError({
    code: `UPORT_FATELF_${reason}`,
    category: more.category ?? 'input',
    message,
    hint,
    ...(more.offset !== undefined && { offset: more.offset }),
    ...(more.file !== undefined && { file: more.file }),
    ...(more.cause !== undefined && { cause: more.cause }),
  });
}

/** A source gave less than it said it has. */
export function changed(offset: number, more: { readonly file?: string } = {}): UportError {
  return fatElfError(
    'CHANGED',
    'the file got shorter while it was read',
    'leave the inputs alone until the work is done',
    { offset, ...more },
  );
}
