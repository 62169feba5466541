import { UportError } from '@uport/errors';

/** One thing that is wrong with an artifact. */
export interface Fault {
  /** Stable, `UPORT_OCI_…`. */
  readonly code: `UPORT_OCI_${string}`;
  /** The file inside the layout, and the field or entry in it. */
  readonly where: string;
  readonly message: string;
}

/** Told each fault as it is found: a collector goes on, a thrower stops. */
export type Report = (fault: Fault) => void;

/** A report that stops at the first fault. */
export function throwFault(folder: string): Report {
  return (fault) => {
    throw new UportError({
      code: fault.code,
      category: 'validation',
      message: `${fault.where}: ${fault.message}`,
      hint: 'build the image again; `uport validate` lists all faults of a layout',
      file: folder,
    });
  };
}
