import { UportError } from '@uport/errors';

/** The stable codes of everything that can be wrong with an image given as input. */
export type ImageFaultCode =
  | 'UPORT_IMAGE_REFERENCE'
  | 'UPORT_IMAGE_NOT_FOUND'
  | 'UPORT_IMAGE_AMBIGUOUS'
  | 'UPORT_IMAGE_SCHEMA1'
  | 'UPORT_IMAGE_TYPE'
  | 'UPORT_IMAGE_DIGEST'
  | 'UPORT_IMAGE_SIZE'
  | 'UPORT_IMAGE_TOO_LARGE'
  | 'UPORT_IMAGE_TOO_MANY'
  | 'UPORT_IMAGE_DAMAGED'
  | 'UPORT_IMAGE_MISSING'
  | 'UPORT_IMAGE_NO_GUEST'
  | 'UPORT_IMAGE_PLATFORM'
  | 'UPORT_IMAGE_ENCRYPTED'
  | 'UPORT_IMAGE_FOREIGN_LAYER'
  | 'UPORT_IMAGE_OPTION'
  | 'UPORT_IMAGE_ENTRYPOINT'
  | 'UPORT_IMAGE_PATH';

const USAGE: ReadonlySet<ImageFaultCode> = new Set([
  'UPORT_IMAGE_REFERENCE',
  'UPORT_IMAGE_AMBIGUOUS',
  'UPORT_IMAGE_PLATFORM',
  'UPORT_IMAGE_OPTION',
]);

/** @param where the image, or the document in it */
export function imageFault(
  code: ImageFaultCode,
  where: string,
  message: string,
  hint: string,
  cause?: unknown,
): UportError {
  return new UportError({
    code,
    category: USAGE.has(code) ? 'usage' : 'input',
    message,
    hint,
    file: where,
    ...(cause !== undefined && { cause }),
  });
}

export const DO_NOT_USE = 'do not use this image: it is damaged, or made to harm';
