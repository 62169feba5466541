// Importing a file that may be TypeScript. Node strips types by itself since 22.18 and 23.6; before
// that it has the parts to do it with.
import { readFileSync } from 'node:fs';
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';

interface Stripping {
  readonly stripTypeScriptTypes?: (code: string) => string;
  readonly registerHooks?: (hooks: object) => { deregister(): void };
}

/** The exports of a module. What it throws is thrown. */
export async function importModule(url: URL): Promise<Record<string, unknown>> {
  const hooks = stripsTypes() ? undefined : registerStripping();
  try {
    return (await import(url.href)) as Record<string, unknown>;
  } finally {
    hooks?.deregister();
  }
}

function stripsTypes(): boolean {
  const { typescript } = process.features as { typescript?: string | false };
  return typescript === 'strip' || typescript === 'transform';
}

function registerStripping(): { deregister(): void } | undefined {
  const { stripTypeScriptTypes, registerHooks } = module as unknown as Stripping;
  if (stripTypeScriptTypes === undefined || registerHooks === undefined) return undefined;
  return registerHooks({
    load(url: string, context: object, next: (url: string, context: object) => unknown) {
      if (!/^file:.*\.m?ts$/.test(url)) return next(url, context);
      const source = withoutWarning(() =>
        stripTypeScriptTypes(readFileSync(fileURLToPath(url), 'utf8')),
      );
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** Node warns that stripping is experimental there; a user of a configuration cannot do anything about it. */
function withoutWarning<T>(work: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return work();
  } finally {
    process.emitWarning = emitWarning;
  }
}
