import { EXIT_STATUS } from '@uport/core/model';
import { main } from './main.ts';

/** The reference tools' arguments. A last one with dots may be repeated. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  glue: ['OUT', 'IN...'],
  info: ['FILE'],
  extract: ['OUT', 'FILE', 'TARGET'],
  remove: ['OUT', 'FILE', 'TARGET'],
  replace: ['OUT', 'FILE', 'NEW'],
  split: ['FILE'],
  verify: ['FILE', 'TARGET'],
  validate: ['FILE'],
};

/**
 * Runs `fatelf-<tool>`: as `uport fatelf <tool>`, but with arguments only, so that any name is a
 * name, also one that looks like a flag.
 */
export async function fatElfTool(tool: string, url: string): Promise<void> {
  const args = process.argv.slice(2);
  const wanted = ARGUMENTS[tool] as readonly string[];
  const usage = `fatelf-${tool} ${wanted.join(' ')}`;
  if (args.length === 1 && args[0] === '--help') {
    process.stdout.write(`usage: ${usage}\nMore options: uport fatelf ${tool} --help\n`);
    return;
  }
  const open = wanted.at(-1)?.endsWith('...');
  if (args.length < wanted.length || (args.length > wanted.length && !open)) {
    process.stderr.write(
      `uport: UPORT_USAGE: fatelf-${tool} was given ${args.length} arguments\n  next:  ${usage}\n`,
    );
    process.exitCode = EXIT_STATUS.usage;
    return;
  }
  await main(url, ['fatelf', tool, '--', ...args]);
}
