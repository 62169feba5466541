// Translators on disk: the program with its loader and libraries beside it.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Arch } from '../model/arch.ts';
import type { PinnedTranslator, TranslatorFile } from '../plan/plan.ts';
import type { ProviderContext } from '../qemu/provider.ts';
import type { TranslatorRule } from './rules.ts';
import { HOST_LIBRARIES, pinTranslator, readTranslatorProgram } from './translator-file.ts';

/**
 * The program of the first folder that has one.
 *
 * @throws UportError UPORT_EMULATOR_WRONG, UPORT_EMULATOR_INCOMPLETE
 */
export async function dirTranslator(
  folders: readonly string[],
  rule: TranslatorRule,
  host: Arch,
  context: ProviderContext,
): Promise<PinnedTranslator | undefined> {
  for (const folder of folders) {
    const main = path.join(folder, rule.kind);
    if (!(await isFile(main))) continue;
    const program = await readTranslatorProgram(main, rule, host, main);
    const wanted = new Set([rule.kind, program.loader, ...program.needed, ...HOST_LIBRARIES]);
    const files: TranslatorFile[] = [];
    for (const name of wanted) {
      const file = path.join(folder, name);
      if (!(await isFile(file))) continue;
      const { digest, size } = await context.store.putFile(file, { signal: context.signal });
      files.push({ name, digest, size });
    }
    return pinTranslator({ rule, host, program, files, packages: [] }, context);
  }
  return undefined;
}

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() === true;
}
