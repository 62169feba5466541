import type { Progress, ProgressTask } from '@uport/core/model';
import { silentProgress } from '@uport/core/model';

const WIDTH = 28;
const REDRAW_MS = 100;

/** Progress drawn on one line of a terminal; silent where the stream is none. */
export function createProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? new Bars(stream) : silentProgress;
}

interface Bar extends ProgressTask {
  readonly label: string;
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'items';
  done: () => void;
  count: number;
}

class Bars implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #running = new Set<Bar>();
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  start(label: string, total?: number, unit: 'bytes' | 'items' = 'items'): ProgressTask {
    const bar: Bar = {
      label,
      total,
      unit,
      count: 0,
      advance: (units) => {
        bar.count += units;
        this.#draw(false);
      },
      done: () => {
        if (this.#running.delete(bar)) this.#draw(true);
      },
    };
    this.#running.add(bar);
    this.#draw(true);
    return bar;
  }

  #draw(now: boolean): void {
    if (!now && performance.now() - this.#drawn < REDRAW_MS) return;
    this.#drawn = performance.now();
    const bar = [...this.#running].at(-1);
    const others = this.#running.size > 1 ? `  (+${this.#running.size - 1} more)` : '';
    const line = bar === undefined ? '' : `${bar.label} ${render(bar)}${others}`;
    this.#stream.write(`\r\x1b[K${line.slice(0, (this.#stream.columns || 80) - 1)}`);
  }
}

function render({ count, total, unit }: Bar): string {
  const number = unit === 'bytes' ? humanSize(count) : String(count);
  if (total === undefined || total === 0) return number;
  const share = Math.min(1, count / total);
  const filled = Math.round(share * WIDTH);
  const bar = '#'.repeat(filled) + '.'.repeat(WIDTH - filled);
  return `[${bar}] ${number} of ${unit === 'bytes' ? humanSize(total) : total}`;
}

/** `12.3 MiB`. */
export function humanSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}
