interface FlagShape {
  readonly type: 'boolean' | 'option';
  readonly char?: string | undefined;
}

/**
 * Splits a command line behind its first argument: what comes after belongs to the program that is
 * run, whatever it looks like.
 */
export function splitCommandLine(
  argv: readonly string[],
  flags: Readonly<Record<string, FlagShape>>,
): { own: string[]; program: string[] } {
  const takesValue = (flag: string): boolean => {
    if (flag.includes('=')) return false;
    const known = flag.startsWith('--')
      ? flags[flag.slice(2)]
      : Object.values(flags).find(({ char }) => char === flag.slice(1));
    return known?.type === 'option';
  };
  let index = 0;
  while (index < argv.length) {
    const word = argv[index] as string;
    if (word === '--') {
      const end = Math.min(index + 2, argv.length);
      return { own: argv.slice(0, end), program: argv.slice(end) };
    }
    if (!word.startsWith('-') || word === '-') break;
    index += takesValue(word) ? 2 : 1;
  }
  return { own: argv.slice(0, index + 1), program: argv.slice(index + 1) };
}
