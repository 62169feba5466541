/** A piece of work whose end may be known. */
export interface ProgressTask {
  advance(units: number): void;
  /** Ends it; a second call does nothing. */
  done(): void;
}

/** What long work tells about itself. The command line draws it; the library is silent by default. */
export interface Progress {
  start(label: string, total?: number, unit?: 'bytes' | 'items'): ProgressTask;
}

const silentTask: ProgressTask = Object.freeze({ advance() {}, done() {} });

export const silentProgress: Progress = Object.freeze({ start: () => silentTask });
