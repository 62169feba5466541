// Archives that unpack to far more than they are.
import { UportError } from '@uport/errors';

export interface TarLimits {
  /** Bytes of all files together, holes of sparse files included. Default: 64 GiB. */
  readonly maxSize?: number;
  /** Unpacked bytes for each byte of the archive, above the first GiB. Default: 1000. */
  readonly maxRatio?: number;
}

const MAX_SIZE = 64 * 2 ** 30;
const MAX_RATIO = 1000;
const RATIO_FREE = 2 ** 30;

/** Counts what comes out of an archive against what went in. */
export class TarMeter {
  readonly #maxSize: number;
  readonly #maxRatio: number;
  readonly #packed: () => number;
  readonly #fault: (message: string) => UportError;
  #size = 0;

  /**
   * @param packed bytes of the archive that were read so far
   * @param fault makes the error of another kind of archive
   */
  constructor(packed: () => number, limits: TarLimits = {}, fault = tooLarge) {
    this.#packed = packed;
    this.#fault = fault;
    this.#maxSize = limits.maxSize ?? MAX_SIZE;
    this.#maxRatio = limits.maxRatio ?? MAX_RATIO;
  }

  /**
   * Before a file's bytes are read: a size alone may be too much.
   *
   * @throws UportError UPORT_TAR_TOO_LARGE
   */
  expect(size: number): void {
    this.#check(this.#size + size);
  }

  /** @throws UportError UPORT_TAR_TOO_LARGE */
  add(bytes: number): void {
    this.#size += bytes;
    this.#check(this.#size);
  }

  /**
   * What was unpacked so far, headers and all that is passed over too.
   *
   * @throws UportError UPORT_TAR_TOO_LARGE
   */
  seen(total: number): void {
    this.#check(total);
  }

  #check(size: number): void {
    if (size > this.#maxSize) {
      throw this.#fault(`it unpacks to more than ${this.#maxSize} bytes`);
    }
    if (size > RATIO_FREE && size > this.#maxRatio * this.#packed()) {
      throw this.#fault(`it unpacks to more than ${this.#maxRatio} times its own size`);
    }
  }
}

function tooLarge(message: string): UportError {
  return new UportError({
    code: 'UPORT_TAR_TOO_LARGE',
    category: 'input',
    message,
    hint: 'unpack it yourself if you trust it, and give the folder',
  });
}
