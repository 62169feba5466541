import type { Progress } from '../model/progress.ts';
import type { Store } from '../store/store.ts';

/** Where Debian's archive is found and whom it is believed. */
export interface DebianSettings {
  /** The folder that holds `dists/` and `pool/`; no other mirror is asked then. Default: `UPORT_DEBIAN_MIRROR`. */
  readonly mirror?: string;
  /** A file of OpenPGP keys to use instead of Debian's own. Default: `UPORT_DEBIAN_KEYRING`. */
  readonly keyring?: string;
  /**
   * The suites are no longer kept up: a signature counts if its key was valid when it was made, and
   * a Release file past its Valid-Until is no cause to warn.
   */
  readonly archived?: boolean;
  /** Default: `/etc/apt`. */
  readonly aptFolder?: string;
  /** Milliseconds to wait before each further try. Default: 500, 2000, 5000. */
  readonly retryDelays?: readonly number[];
  /** Milliseconds without a byte after which a connection counts as dead. Default: 60000. */
  readonly stallTimeout?: number;
}

export interface DebianContext {
  readonly store: Store;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Told what a user should know though the work goes on. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** The clock that keys and Release files are judged by. Default: the machine's. */
  readonly now?: (() => Date) | undefined;
  readonly debian?: DebianSettings | undefined;
}
